//! Many accounts in an actix-web application, with its admin interface below `/admin`: `cargo run --example fleet_admin`.
//!
//! Without flags, 20 accounts are kept online at an embedded local server; each answers `ping` with `pong`. The application
//! has routes of its own, `GET /online` and `GET /readyz`. SIGTERM and Ctrl-C end it in good order: the HTTP server first,
//! then the fleet, which logs everybody out.

#![allow(clippy::print_stdout, reason = "a program says where it listens")]

use std::{
    error::Error,
    fs,
    future::Future,
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::Server,
    get,
    rt::signal::unix::{SignalKind, signal},
    web,
};
use agora_chat::{
    Config, ConfigBuilder, Credentials, LogConfig, LoggerActor,
    fleet::{
        AccountSpec, Fleet, FleetConfig, FleetError, LoginPace, StateKind,
        admin::{Admin, AdminToken},
    },
    local_server::LocalServer,
};
use clap::Parser;
use serde_json::json;

/// An HTTP front for many chat accounts.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 lets the system pick one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Application key of a service elsewhere; without it a local server is started
    #[arg(long, value_name = "ORG#APP", requires = "accounts")]
    app_key: Option<String>,
    /// REST address of that service; without the two addresses, discovery finds them
    #[arg(long, value_name = "URL", requires_all = ["app_key", "socket_url"])]
    rest_url: Option<String>,
    /// WebSocket address of that service
    #[arg(long, value_name = "URL", requires = "rest_url")]
    socket_url: Option<String>,
    /// Who logs in there: a file of lines `user,password` or `user,password,tag`
    #[arg(long, value_name = "FILE", requires = "app_key")]
    accounts: Option<PathBuf>,
    /// File with the token that the admin interface asks for
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// The most logins begun in a second
    #[arg(long, value_name = "N", default_value_t = 50)]
    logins_per_second: u32,
}

/// The application's own view: how many of its accounts are online.
#[get("/online")]
async fn online(fleet: web::Data<Fleet>) -> HttpResponse {
    let summary = fleet.summary();
    HttpResponse::Ok().json(json!({"online": summary.of(StateKind::Online), "total": summary.total}))
}

/// The application decides by itself when it is ready: here once nine in ten accounts are online. No request is sent and
/// no actor is asked, so a probe may come as often as it likes.
#[get("/readyz")]
async fn ready(fleet: web::Data<Fleet>) -> HttpResponse {
    let summary = fleet.summary();
    let enough = summary.of(StateKind::Online) * 10 >= summary.total * 9;
    match fleet.is_ready() && enough {
        true => HttpResponse::Ok().finish(),
        false => HttpResponse::ServiceUnavailable().finish(),
    }
}

#[actix_web::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr nobody can be told.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // From here on a signal ends the program in good order, whatever it is at.
    let mut stop = pin!(asked_to_stop()?);
    let log = LoggerActor::start_with(LogConfig::new())?;
    let (config, accounts, _local) = service(options).await?;
    let pace = LoginPace::per_second(options.logins_per_second);
    let config =
        FleetConfig::new(config.logger(log.slog()).build()?).pace(pace).on_message(|account, delivery| async move {
            if let Some(message) = delivery.message().filter(|message| message.text() == Some("ping")) {
                account.send_text(message.conversation(), "pong").await?;
            }
            Ok::<(), FleetError>(())
        });
    let fleet = Fleet::start(config)?;

    let mut admin = Admin::new(&fleet).log(log.clone());
    if let Some(file) = &options.admin_token_file {
        admin = admin.token(AdminToken::new(&fs::read_to_string(file)?)?);
    }
    let server = http(options.port, &fleet, &admin)?;
    let http = server.handle();
    let mut serving = pin!(server);
    for added in fleet.add_all(accounts).await? {
        added?;
    }
    let served = tokio::select! {
        served = &mut serving => served,
        () = &mut stop => {
            // The HTTP server first: nobody is told of accounts that are about to leave. Who watches is sent away.
            admin.end_events();
            let (served, ()) = tokio::join!(serving, http.stop(true));
            served
        }
    };
    println!("{}", fleet.drain(Duration::from_secs(25)).await);
    log.shutdown().await;
    Ok(served?)
}

fn http(port: u16, fleet: &Fleet, admin: &Admin) -> io::Result<Server> {
    let (fleet, admin) = (web::Data::new(fleet.clone()), admin.clone());
    let app = move || {
        let admin = web::scope("/admin").service(admin.routes());
        App::new().app_data(fleet.clone()).service((online, ready)).service(admin)
    };
    let server = HttpServer::new(app)
        .workers(2)
        .shutdown_timeout(5)
        // Left to itself, the server takes SIGTERM and stops the actix system before the fleet has logged out.
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, port))?;
    for address in server.addrs() {
        println!("listening on http://{address}, admin interface at http://{address}/admin/");
    }
    Ok(server.run())
}

/// Done at SIGTERM or SIGINT.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    })
}

/// Where to log in and who does: elsewhere if the flags say so, else at a local server of our own.
async fn service(options: &Options) -> Result<(ConfigBuilder, Vec<AccountSpec>, Option<LocalServer>), Box<dyn Error>> {
    let (Some(app_key), Some(file)) = (&options.app_key, &options.accounts) else {
        let local = LocalServer::start().await?;
        local.create_user("alice", "password")?;
        let mut accounts = Vec::new();
        for number in 0..20 {
            let user = format!("bot-{number}");
            local.create_user(&user, "password")?;
            let tag = if number % 2 == 0 { "sales" } else { "support" };
            accounts.push(AccountSpec::new(Credentials::password(&user, "password")?).tag(tag));
        }
        return Ok((local.config(), accounts, Some(local)));
    };
    let mut config = Config::builder(app_key);
    if let (Some(rest), Some(socket)) = (&options.rest_url, &options.socket_url) {
        config = config.addresses(rest, socket);
    }
    Ok((config, read(file)?, None))
}

fn read(file: &Path) -> Result<Vec<AccountSpec>, Box<dyn Error>> {
    let mut accounts = Vec::new();
    for line in fs::read_to_string(file)?.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let (Some(user), Some(password)) = (fields.next(), fields.next()) else {
            return Err(format!("{}: a line is not `user,password`", file.display()).into());
        };
        let account = AccountSpec::new(Credentials::password(user, password)?);
        accounts.push(match fields.next() {
            Some(tag) => account.tag(tag),
            None => account,
        });
    }
    Ok(accounts)
}
