//! The calls: what each path takes and answers.

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Resource, Responder, Scope,
    guard::{Any, Get, Head},
    http::{
        StatusCode,
        header::{self, ContentType},
    },
    web::{self, Bytes},
};
use serde::Deserialize;
use serde_json::{Value, json};
use slog::info;
use zeroize::Zeroizing;

use crate::{
    fleet::{
        admin::{
            Admin, Shared,
            answer::{Answer, Refused},
            events,
        },
        cause::CauseKind,
        error::FleetError,
        handle::{AccountHandle, Fleet},
        pace::BreakerState,
        spec::Pause,
        state::StateKind,
        table::{Filter, Page},
    },
    logger::LogLevel,
    model::{account::UserId, auth::Credentials},
    util::unix_time,
};

/// The most accounts that the answer to a call for many names.
const NAMED: usize = 1000;

/// How long a connection may take to say how it fares.
const HEALTH: Duration = Duration::from_secs(2);

/// An account that was added lately has so long before the fleet counts as started without it.
const STARTING: Duration = Duration::from_secs(60);

pub(super) fn scope(admin: &Admin) -> Scope {
    let get = || web::route().guard(Any(Get()).or(Head()));
    web::scope("")
        .app_data(web::Data::new(admin.clone()))
        .app_data(web::PayloadConfig::new(Admin::MAX_BODY))
        .service(at("", "GET").route(get().to(page)))
        .service(at("/", "GET").route(get().to(page)))
        .service(at("/page.css", "GET").route(get().to(style)))
        .service(at("/page.js", "GET").route(get().to(script)))
        .service(at("/page.svg", "GET").route(get().to(icon)))
        .service(at("/livez", "GET").route(get().to(live)))
        .service(at("/readyz", "GET").route(get().to(ready)))
        .service(at("/startupz", "GET").route(get().to(started)))
        .service(at("/fleet", "GET").route(get().to(fleet)))
        .service(at("/fleet/pause", "POST").route(web::post().to(pause_fleet)))
        .service(at("/fleet/resume", "POST").route(web::post().to(resume_fleet)))
        .service(at("/fleet/drain", "POST").route(web::post().to(drain)))
        .service(at("/accounts", "GET").route(get().to(accounts)))
        .service(
            // One word after `/accounts` is a user to look at or remove; to POST it is what is done with many.
            at("/accounts/{user}", "GET, POST, DELETE")
                .route(get().to(account))
                .route(web::delete().to(remove))
                .route(web::post().to(many)),
        )
        .service(at("/accounts/{user}/credentials", "PUT").route(web::put().to(update)))
        .service(at("/accounts/{user}/send", "POST").route(web::post().to(send)))
        .service(at("/accounts/{user}/move", "POST").route(web::post().to(clustered)))
        .service(at("/accounts/{user}/{verb}", "POST").route(web::post().to(one)))
        .service(at("/nodes", "GET").route(get().to(clustered)))
        .service(at("/nodes/{node}/drain", "POST").route(web::post().to(clustered)))
        .service(at("/log-level", "GET, PUT").route(get().to(level)).route(web::put().to(set_level)))
        .service(at("/events", "GET").route(web::get().to(events::events)))
        .service(at("/metrics", "GET").route(get().to(metrics)))
        .default_service(web::to(|| async { Answer::Err(no_path()) }))
}

/// A path that answers methods it does not know with those it does.
fn at(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |request: HttpRequest| async move {
        let why = format!("{} is not answered here; use {methods}", request.method());
        let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why);
        let mut answer = actix_web::ResponseError::error_response(&refused);
        answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(methods));
        answer
    }))
}

fn no_path() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

async fn clustered() -> Answer {
    Err(Refused::new(
        StatusCode::NOT_IMPLEMENTED,
        "not_clustered",
        "this fleet is one process; there are no other nodes",
    ))
}

// The page.

async fn page(request: HttpRequest) -> HttpResponse {
    // What it names is beside it: its own address must end in a slash.
    if let Some((_, last)) = request.path().rsplit_once('/').filter(|(_, last)| !last.is_empty()) {
        return HttpResponse::PermanentRedirect().insert_header((header::LOCATION, format!("{last}/"))).finish();
    }
    HttpResponse::Ok().content_type(ContentType::html()).body(include_str!("page.html"))
}

async fn style() -> impl Responder {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("page.css"))
}

async fn script() -> impl Responder {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("page.js"))
}

async fn icon() -> impl Responder {
    HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("page.svg"))
}

// Probes.

fn probe(holds: bool, not: &str) -> Answer {
    match holds {
        true => Ok(HttpResponse::Ok().json(json!({"status": "ok"}))),
        false => Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet", not)),
    }
}

async fn live(admin: Shared) -> Answer {
    let hung = format!("an arbiter has not run for {} s; start the process again", Fleet::HUNG.as_secs());
    probe(admin.fleet().is_live(), &hung)
}

async fn ready(admin: Shared) -> Answer {
    probe(is_ready(&admin), "the fleet is starting, being drained, or at its end")
}

fn is_ready(admin: &Admin) -> bool {
    admin.fleet().is_ready() && admin.0.ready.as_ref().is_none_or(|ready| ready())
}

async fn started(admin: Shared) -> Answer {
    let up = unix_time::now_ms().saturating_sub(admin.fleet().shared().started_ms);
    let summary = admin.fleet().summary();
    let under_way = summary.of(StateKind::Added) + summary.of(StateKind::Waiting) + summary.of(StateKind::LoggingIn);
    if (under_way == 0 && is_ready(&admin)) || Duration::from_millis(up) >= STARTING {
        admin.0.started.store(true, Ordering::Relaxed);
    }
    probe(admin.0.started.load(Ordering::Relaxed), "the first logins are under way")
}

// The fleet.

async fn fleet(admin: Shared) -> Answer {
    Ok(HttpResponse::Ok().json(summary(&admin)))
}

/// Returns the fleet at this moment, as `/fleet` and `/events` tell it.
pub(super) fn summary(admin: &Admin) -> Value {
    let shared = admin.fleet().shared();
    let summary = admin.fleet().summary();
    let (mut done, mut failed) = (0_u64, 0_u64);
    for ((_, outcome), count) in &shared.table.counts().logins {
        match *outcome {
            "online" => done += count,
            "cancelled" => {}
            _ => failed += count,
        }
    }
    let why = match summary.breaker {
        BreakerState::Open { cause, .. } | BreakerState::HalfOpen { cause, .. } => Some(cause.to_string()),
        _ => None,
    };
    json!({
        "at_ms": unix_time::now_ms(),
        "name": &*shared.config.name,
        "node": &*shared.table.node,
        "epoch": shared.table.epoch,
        "draining": summary.draining,
        "ready": is_ready(admin),
        "live": admin.fleet().is_live(),
        "total": summary.total,
        "limit": shared.config.max_accounts,
        "accounts": summary.accounts,
        "causes": summary.causes,
        "breaker": summary.breaker,
        "breaker_cause": why,
        "queue": summary.queue,
        "logins": {"done": done, "failed": failed},
        "log_level": admin.0.log.as_ref().map(|log| log.level().name()),
    })
}

async fn pause_fleet(admin: Shared, request: HttpRequest, body: Body) -> Answer {
    let query = Query::read(&request, &["dry_run"])?;
    act_on_many(&admin, Verb::Pause(pause_of(&body)?), Filter::all(), query.flag("dry_run")?).await
}

async fn resume_fleet(admin: Shared, request: HttpRequest, _: NoBody) -> Answer {
    let query = Query::read(&request, &["dry_run"])?;
    act_on_many(&admin, Verb::Resume, Filter::all().state(StateKind::Paused), query.flag("dry_run")?).await
}

async fn drain(admin: Shared, request: HttpRequest, _: NoBody) -> Answer {
    let query = Query::read(&request, &["deadline"])?;
    let deadline = match query.one("deadline")? {
        None => 25,
        Some(text) => text
            .strip_suffix('s')
            .unwrap_or(text)
            .parse::<u64>()
            .ok()
            .filter(|seconds| *seconds <= 86_400)
            .ok_or_else(|| Refused::bad_query("`deadline` is a number of seconds, at most 86400"))?,
    };
    info!(admin.fleet().shared().config.config.logger, "drain asked for over HTTP"; "deadline_s" => deadline);
    let fleet = admin.fleet().clone();
    actix_rt::spawn(async move { fleet.drain(Duration::from_secs(deadline)).await });
    Ok(HttpResponse::Accepted().json(json!({"draining": true, "deadline_s": deadline})))
}

// Accounts.

async fn accounts(admin: Shared, request: HttpRequest) -> Answer {
    let query = Query::read(&request, &[FILTER, &["after", "limit"]].concat())?;
    let (filter, page) = (query.filter()?, query.page()?);
    if !query.is_of(&admin)? {
        return Ok(HttpResponse::Ok().json(json!({"accounts": [], "next": null})));
    }
    Ok(HttpResponse::Ok().json(admin.fleet().accounts(&filter, &page)))
}

async fn account(admin: Shared, user: web::Path<String>) -> Answer {
    let account = find(&admin, &user)?;
    // One that is busy is looked at all the same.
    let health = actix_rt::time::timeout(HEALTH, account.health()).await.ok().and_then(Result::ok);
    let mut told = told(&account);
    if let Value::Object(fields) = &mut told {
        fields.insert("health".to_owned(), json!(health));
        fields.insert("transitions".to_owned(), json!(account.transitions()));
    }
    Ok(HttpResponse::Ok().json(told))
}

fn find(admin: &Admin, user: &str) -> Result<AccountHandle, Refused> {
    admin.fleet().account(user).map_err(unknown)
}

/// A user id that no user can have is one that the fleet does not know.
fn unknown(error: FleetError) -> Refused {
    match error {
        FleetError::Credentials(error) => Refused::new(StatusCode::NOT_FOUND, "unknown_account", error),
        error => error.into(),
    }
}

fn told(account: &AccountHandle) -> Value {
    json!(account.snapshot())
}

async fn remove(admin: Shared, user: web::Path<String>, _: NoBody) -> Answer {
    Verb::Remove.act(admin.fleet(), &user).await.map_err(unknown)?;
    note(&admin, "remove", &user);
    Ok(HttpResponse::NoContent().finish())
}

async fn one(admin: Shared, path: web::Path<(String, String)>, body: Body) -> Answer {
    let (user, verb) = path.into_inner();
    let verb = match verb.as_str() {
        "pause" => Verb::Pause(pause_of(&body)?),
        "resume" => Verb::Resume,
        "restart" => Verb::Restart,
        _ => return Err(no_path()),
    };
    let account = find(&admin, &user)?;
    verb.act(admin.fleet(), &user).await.map_err(unknown)?;
    note(&admin, verb.name(), &user);
    Ok(HttpResponse::Ok().json(told(&account)))
}

/// Logs what somebody did.
fn note(admin: &Admin, what: &str, user: &str) {
    info!(admin.fleet().shared().config.config.logger, "asked for over HTTP"; "what" => what, "user" => user);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCredentials {
    password: Option<String>,
    token: Option<String>,
}

async fn update(admin: Shared, user: web::Path<String>, body: Body) -> Answer {
    const SHAPE: &str = r#"{"password":"…"} or {"token":"…"}"#;
    let account = find(&admin, &user)?;
    let given: NewCredentials = body.read(SHAPE)?;
    let credentials = match (given.password, given.token) {
        (Some(password), None) => Credentials::password(&user, password),
        (None, Some(token)) => Credentials::token(&user, token),
        _ => return Err(Refused::bad_body(format_args!("the body must be {SHAPE}"))),
    };
    let credentials = credentials.map_err(|error| Refused::from(FleetError::from(error)))?;
    admin.fleet().update(&user, credentials).await?;
    note(&admin, "credentials", &user);
    Ok(HttpResponse::Ok().json(told(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    to: String,
    text: String,
}

async fn send(admin: Shared, user: web::Path<String>, body: Body) -> Answer {
    let account = find(&admin, &user)?;
    let message: Text = body.read(r#"{"to":"alice","text":"hi"}"#)?;
    let sent = account.send_text(message.to.as_str(), &message.text).await?;
    // As text: ids exceed what a JavaScript number can hold.
    Ok(HttpResponse::Ok().json(json!({"server_id": sent.server_id.to_string()})))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    why: Option<String>,
    for_ms: Option<u64>,
}

fn pause_of(body: &Body) -> Result<Pause, Refused> {
    let PauseBody { why, for_ms } = match body.0.is_empty() {
        true => PauseBody::default(),
        false => body.read(r#"{"why":"…","for_ms":60000}, both optional"#)?,
    };
    let why = why.unwrap_or_else(|| "paused over HTTP".to_owned());
    Ok(match for_ms {
        Some(time) => Pause::lasting(Duration::from_millis(time), why),
        None => Pause::until_resumed(why),
    })
}

// Many accounts.

/// What is done with accounts.
#[derive(Clone)]
enum Verb {
    Pause(Pause),
    Resume,
    Restart,
    Remove,
}

impl Verb {
    const fn name(&self) -> &'static str {
        match self {
            Verb::Pause(_) => "pause",
            Verb::Resume => "resume",
            Verb::Restart => "restart",
            Verb::Remove => "remove",
        }
    }

    async fn act(&self, fleet: &Fleet, user: &str) -> Result<(), FleetError> {
        match self {
            Verb::Pause(pause) => fleet.pause(user, pause.clone()).await,
            Verb::Resume => fleet.resume(user).await,
            Verb::Restart => fleet.restart(user).await,
            Verb::Remove => fleet.remove(user).await,
        }
    }
}

async fn many(admin: Shared, verb: web::Path<String>, request: HttpRequest, body: Body) -> Answer {
    let verb = match verb.as_str() {
        "pause" => Verb::Pause(pause_of(&body)?),
        "resume" => Verb::Resume,
        "restart" => Verb::Restart,
        "remove" => Verb::Remove,
        _ => return Err(no_path()),
    };
    let query = Query::read(&request, &[FILTER, &["dry_run"]].concat())?;
    let (filter, dry_run) = (query.filter()?, query.flag("dry_run")?);
    if matches!(verb, Verb::Remove) && filter == Filter::all() {
        return Err(Refused::bad_query("name which accounts are removed: by `state`, `cause`, `tag` or `search`"));
    }
    if !query.is_of(&admin)? {
        return Ok(
            HttpResponse::Ok().json(json!({"taken": 0, "done": 0, "failed": [], "dry_run": dry_run, "users": []}))
        );
    }
    act_on_many(&admin, verb, filter, dry_run).await
}

async fn act_on_many(admin: &Admin, verb: Verb, filter: Filter, dry_run: bool) -> Answer {
    let users = admin.fleet().users(&filter);
    let named: Vec<String> = users.iter().take(NAMED).map(|user| user.as_str().to_owned()).collect();
    let taken = users.len();
    let (mut done, mut failed) = (0_usize, Vec::new());
    if !dry_run {
        info!(admin.fleet().shared().config.config.logger, "asked for over HTTP"; "what" => verb.name(), "accounts" => taken);
        let fleet = admin.fleet().clone();
        // It goes on when the caller goes.
        let acting = actix_rt::spawn(async move {
            for user in users {
                match verb.act(&fleet, user.as_str()).await {
                    Ok(()) => done += 1,
                    // Removed meanwhile.
                    Err(FleetError::Unknown { .. }) => {}
                    Err(error @ (FleetError::Stopped | FleetError::Draining)) => return Err(error),
                    Err(error) if failed.len() < NAMED => failed.push(told_failure(&user, error)),
                    Err(_) => {}
                }
            }
            Ok((done, failed))
        });
        match acting.await {
            Ok(Ok(acted)) => (done, failed) = acted,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(FleetError::Stopped.into()),
        }
    }
    Ok(HttpResponse::Ok().json(json!({
        "taken": taken, "done": done, "failed": failed, "dry_run": dry_run, "users": named,
    })))
}

fn told_failure(user: &UserId, error: FleetError) -> Value {
    let refused = Refused::from(error);
    json!({"user": user.as_str(), "code": refused.code(), "message": refused.to_string()})
}

// The log, metrics.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelBody {
    level: String,
}

async fn level(admin: Shared) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"level": log(&admin)?.level().name()})))
}

async fn set_level(admin: Shared, body: Body) -> Answer {
    let log = log(&admin)?;
    let wanted: LevelBody = body.read(r#"{"level":"DEBUG"}"#)?;
    let wanted: LogLevel = wanted.level.parse().map_err(|error| Refused::bad_body(format_args!("{error}")))?;
    log.set_level(wanted);
    Ok(HttpResponse::Ok().json(json!({"level": wanted.name()})))
}

fn log(admin: &Admin) -> Result<&crate::logger::LogHandle, Refused> {
    let none = "the program has not given its log to the admin interface (`Admin::log`)";
    admin.0.log.as_ref().ok_or_else(|| Refused::new(StatusCode::NOT_IMPLEMENTED, "no_log", none))
}

async fn metrics(admin: Shared, request: HttpRequest) -> Answer {
    let query = Query::read(&request, &[FILTER, &["per_account"]].concat())?;
    let filter = query.filter()?;
    let text = match query.flag("per_account")? {
        true => admin.fleet().metrics_of(&filter),
        false => admin.fleet().metrics(),
    };
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

// What comes in.

/// The body of a call, bounded.
pub(super) struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// Reads JSON. What is wrong is told by its place only, for it may be a secret.
    fn read<'a, T: Deserialize<'a>>(&'a self, shape: &str) -> Result<T, Refused> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refused::bad_body(format_args!("the body must be {shape}; it is not at line {line}, column {column}"))
        })
    }
}

impl FromRequest for Body {
    type Error = Refused;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let read = Bytes::from_request(request, payload);
        Box::pin(async move {
            match read.await {
                Ok(bytes) => Ok(Body(Zeroizing::new(bytes.to_vec()))),
                Err(error) if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE => {
                    let why = format!("a body has at most {} bytes", Admin::MAX_BODY);
                    Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", why))
                }
                Err(_) => Err(Refused::bad_body("the body cannot be read")),
            }
        })
    }
}

/// A body that nobody looks at; it is read, and bounded, all the same.
type NoBody = Body;

/// Parameters that say which accounts are meant.
const FILTER: &[&str] = &["state", "cause", "tag", "node", "search"];

/// The parameters of a call.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Refused> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Refused::bad_query("the query cannot be read"))?
            .into_inner();
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                let known = known.join("`, `");
                Err(Refused::bad_query(format_args!("there is no parameter {name:?} here, only `{known}`")))
            }
            None => Ok(Query(pairs)),
        }
    }

    fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, text)| known == name && !text.is_empty()).map(|(_, text)| text.as_str())
    }

    fn one(&self, name: &'static str) -> Result<Option<&str>, Refused> {
        let mut all = self.all(name);
        let first = all.next();
        match all.next() {
            Some(_) => Err(Refused::bad_query(format_args!("`{name}` is given twice"))),
            None => Ok(first),
        }
    }

    /// Returns whether a parameter is there and not `0` or `false`.
    fn flag(&self, name: &'static str) -> Result<bool, Refused> {
        let mut given = self.0.iter().filter(|(known, _)| known == name).map(|(_, text)| text.as_str());
        match (given.next(), given.next()) {
            (None, _) => Ok(false),
            (Some("" | "1" | "true"), None) => Ok(true),
            (Some("0" | "false"), None) => Ok(false),
            _ => Err(Refused::bad_query(format_args!("`{name}` is 1 or 0"))),
        }
    }

    fn filter(&self) -> Result<Filter, Refused> {
        let mut filter = Filter::all();
        for text in self.all("state").flat_map(|text| text.split(',')) {
            let state = StateKind::from_name(text);
            filter =
                filter.state(state.ok_or_else(|| names("state", text, StateKind::ALL.iter().map(|kind| kind.name())))?);
        }
        if let Some(text) = self.one("cause")? {
            let cause = CauseKind::from_name(text);
            filter =
                filter.cause(cause.ok_or_else(|| names("cause", text, CauseKind::ALL.iter().map(|kind| kind.name())))?);
        }
        if let Some(tag) = self.one("tag")? {
            filter = filter.tag(tag);
        }
        if let Some(text) = self.one("search")? {
            filter = filter.search(text);
        }
        Ok(filter)
    }

    fn page(&self) -> Result<Page, Refused> {
        let mut page = Page::default();
        if let Some(user) = self.one("after")? {
            let user = user.parse().map_err(|error| Refused::bad_query(format_args!("`after`: {error}")))?;
            page.after = Some(user);
        }
        if let Some(limit) = self.one("limit")? {
            let limit = limit.parse().ok().filter(|limit| (1..=Page::MAX).contains(limit));
            let wrong = || Refused::bad_query(format_args!("`limit` is a number from 1 to {}", Page::MAX));
            page.limit = limit.ok_or_else(wrong)?;
        }
        Ok(page)
    }

    /// Returns whether the accounts of this node are meant.
    fn is_of(&self, admin: &Admin) -> Result<bool, Refused> {
        Ok(self.one("node")?.is_none_or(|node| *node == *admin.fleet().shared().table.node))
    }
}

fn names(what: &str, given: &str, known: impl Iterator<Item = &'static str>) -> Refused {
    let known = known.collect::<Vec<_>>().join(", ");
    Refused::bad_query(format_args!("there is no {what} {given:?}; it is one of {known}"))
}
