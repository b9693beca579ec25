//! A chat connection beside the HTTP handlers of an actix-web app: `cargo run --example actix_web_app`.
//!
//! Without flags, user `web` is logged in at an embedded local server, where `bob` can be written to:
//! `curl localhost:8080/send -H 'content-type: application/json' -d '{"to":"bob","text":"hello"}'`.
//! Then there are `GET /state`, `GET /log-level` and `PUT /log-level/{level}`. SIGTERM and Ctrl-C end it in good order, also
//! while it logs in: the connection first, then the HTTP server.

#![allow(clippy::print_stdout, reason = "a program says where it listens")]

use std::{
    env,
    error::Error,
    fmt::Display,
    future::Future,
    io::{self, Write as _},
    net::Ipv4Addr,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer, ResponseError as _,
    error::InternalError,
    get,
    http::StatusCode,
    post, put,
    rt::signal::unix::{SignalKind, signal},
    web,
};
use agora_chat::{
    Code, Config, ConfigBuilder, Connection, Credentials, EventHandler, LogConfig, LogHandle, LogLevel, LoggerActor,
    OpenError, SendError, local_server::LocalServer,
};
use clap::Parser;
use serde::Deserialize;
use serde_json::json;
use slog::info;

/// An HTTP front for one chat account.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 lets the system pick one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Application key of a service elsewhere; without it a local server is started
    #[arg(long, value_name = "ORG#APP")]
    app_key: Option<String>,
    /// REST address of that service; without the two addresses, discovery finds them
    #[arg(long, value_name = "URL", requires_all = ["app_key", "socket_url"])]
    rest_url: Option<String>,
    /// WebSocket address of that service
    #[arg(long, value_name = "URL", requires = "rest_url")]
    socket_url: Option<String>,
    /// Who logs in there, by the token in AGORA_CHAT_TOKEN
    #[arg(long, default_value = "web", requires = "app_key")]
    user: String,
}

/// What all workers share; both handles may be used from any thread.
pub(crate) struct Chat {
    pub(crate) connection: Connection,
    pub(crate) log: LogHandle,
}

/// The app's routes; they need a `web::Data<Chat>`.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default()
        .limit(64 * 1024)
        .error_handler(|error, _| InternalError::from_response("", failure(error.status_code(), None, error)).into());
    app.app_data(json).service((state, send, level, set_level));
}

#[get("/state")]
async fn state(chat: web::Data<Chat>) -> HttpResponse {
    HttpResponse::Ok().json(chat.connection.state())
}

#[derive(Deserialize)]
struct Text {
    to: String,
    text: String,
}

#[post("/send")]
async fn send(chat: web::Data<Chat>, message: web::Json<Text>) -> HttpResponse {
    match chat.connection.send_text(&message.to, &message.text).await {
        // As text: ids exceed what a JavaScript number can hold.
        Ok(sent) => HttpResponse::Ok().json(json!({"server_id": sent.server_id.to_string()})),
        Err(error) => failure(status_of(&error), Some(error.code()), &error),
    }
}

#[get("/log-level")]
async fn level(chat: web::Data<Chat>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"level": chat.log.level().name()}))
}

#[put("/log-level/{level}")]
async fn set_level(chat: web::Data<Chat>, wanted: web::Path<String>) -> HttpResponse {
    match wanted.parse::<LogLevel>() {
        Ok(wanted) => chat.log.set_level(wanted),
        Err(error) => return failure(StatusCode::BAD_REQUEST, None, error),
    }
    HttpResponse::NoContent().finish()
}

fn failure(status: StatusCode, code: Option<Code>, error: impl Display) -> HttpResponse {
    HttpResponse::build(status).json(json!({"code": code, "error": error.to_string()}))
}

fn status_of(error: &SendError) -> StatusCode {
    match error {
        SendError::Invalid(_) => StatusCode::BAD_REQUEST,
        SendError::InUse { .. } => StatusCode::CONFLICT,
        SendError::OutcomeUnknown { .. } => StatusCode::GATEWAY_TIMEOUT,
        SendError::Refused { code: Code::USER_NOT_FOUND, .. } => StatusCode::NOT_FOUND,
        SendError::Refused { .. } => StatusCode::BAD_GATEWAY,
        SendError::Backlog { .. } => StatusCode::TOO_MANY_REQUESTS,
        // Nobody is logged in, or the link is down: nothing was sent, and later it may be.
        _ => StatusCode::SERVICE_UNAVAILABLE,
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
    let (config, credentials, _local) = service(options).await?;

    // Whoever asks over HTTP waits for the answer, so a message does not wait long for a lost link.
    let config = config.buffer_sends_for(Duration::from_secs(5));
    let connection = Connection::start(config.logger(log.slog()).build()?)?;
    let slog = log.slog();
    let told = EventHandler::new().on_message(move |_, message| info!(slog, "a message"; "from" => &*message.from));
    connection.add_event_handler("app", told)?;

    let chat = web::Data::new(Chat { connection: connection.clone(), log: log.clone() });
    let http = HttpServer::new(move || App::new().app_data(chat.clone()).configure(routes))
        .workers(2)
        .shutdown_timeout(5)
        // Left to itself, the server takes SIGTERM and stops the actix system with all connections in it, unclosed.
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, options.port))?;
    let addresses = http.addrs();
    let server = http.run();
    let handle = server.handle();
    let serving = async {
        connection.open(credentials).await?;
        for address in addresses {
            println!("listening on http://{address}");
        }
        server.await?;
        Ok::<(), Box<dyn Error>>(())
    };
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = &mut stop => {
            // The connection first: requests that wait for a message to leave are answered then.
            let closed = connection.close().await;
            info!(log.slog(), "closed"; "how" => %closed);
            // Its requests are answered while it is polled; a login that was under way ends with an error, which is no news.
            let (served, ()) = tokio::join!(serving, handle.stop(true));
            served.or_else(|error| if error.is::<OpenError>() { Ok(()) } else { Err(error) })
        }
    };
    connection.close().await;
    log.shutdown().await;
    served
}

/// Done at SIGTERM or SIGINT.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    })
}

/// Where to log in and as whom: elsewhere if the flags say so, else at a local server of our own.
async fn service(options: &Options) -> Result<(ConfigBuilder, Credentials, Option<LocalServer>), Box<dyn Error>> {
    let Some(app_key) = &options.app_key else {
        let local = LocalServer::start().await?;
        local.create_user("web", "password")?;
        local.create_user("bob", "password")?;
        return Ok((local.config(), Credentials::password("web", "password")?, Some(local)));
    };
    let mut config = Config::builder(app_key);
    if let (Some(rest), Some(socket)) = (&options.rest_url, &options.socket_url) {
        config = config.addresses(rest, socket);
    }
    let token = env::var("AGORA_CHAT_TOKEN").map_err(|_| "set AGORA_CHAT_TOKEN")?;
    Ok((config, Credentials::token(&options.user, token)?, None))
}
