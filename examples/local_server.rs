//! The local server as a program: a stand-in for the service on a chosen port, told what to do on stdin.
//!
//! `cargo run --example local_server -- --user alice:secret` and then `help`.

#[path = "common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;
#[path = "common/lines.rs"]
mod lines;
#[path = "common/out.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod out;
#[path = "common/signals.rs"]
mod signals;

use std::{io::Write as _, time::Duration};

use agora_chat::{
    Conversation, MessageBody,
    errors::Kick,
    local_server::{Activity, Cut, Door, DuplicatePolicy, FrameKind, LocalServer, RestFault},
    wire::Meta,
};
use clap::{Parser, ValueEnum};
use lines::Line;
use out::Out;
use prost::Message as _;
use serde_json::{Value, json};
use signals::Signals;

const COMMANDS: &str = "\
Commands on stdin, one a line; each is answered by one JSON line, {\"ok\":true,...} or {\"ok\":false,\"error\":\"...\"}:
  user NAME PASSWORD          create a user
  token NAME [LIFE_SECONDS]   issue a token (default: the token life)
  duplicate POLICY            what a second login with the same resource does, as --duplicate
  kick NAME CODE [EXT]        kick every device: 206 (with EXT), 207, 216 or 217
  drop NAME fin|rst           cut every link of the user
  cut-some SHARE SEED [rst]   cut a random share (0 to 1) of the links of those online, the same for the same seed
  refuse STATUS [REASON...]   refuse every PROVISION from now on
  refuse-of NAME STATUS [REASON...]
                              refuse every PROVISION of the user
  accept                      accept PROVISIONs and upgrades again
  accept-of NAME              accept the user's PROVISIONs again
  fail-tokens STATUS [RETRY_AFTER]
                              answer every REST call for a token with this HTTP status
  fail-tokens-of NAME STATUS [RETRY_AFTER]
                              the same for the user's
  give-tokens                 end every fault of REST calls
  expire-tokens NAME          end every token of the user
  reject-password NAME on|off take no password of the user for right
  redirect HOST PORT          answer every PROVISION with a redirect
  refuse-upgrades HTTP_STATUS [RETRY_AFTER]
                              refuse every WebSocket upgrade; Retry-After in seconds or as a date
  silent on|off               read everything, answer nothing
  delay MS                    hold back everything that is sent
  token-life SECONDS|none     life of tokens issued by REST from now on
  delete NAME                 delete a user (kick 207)
  password NAME NEW           change a password (kick 216)
  send FROM TO TEXT...        send a text as FROM
  send-to KIND ID FROM TEXT...
                              send a text to a user, group, thread or room (KIND) as FROM
  group OWNER [MEMBER...]     create a group
  add-member GROUP NAME       put a user into a group
  remove-member GROUP NAME    take a user out of a group
  destroy-group GROUP         end a group
  thread GROUP MESSAGE_ID NAME...
                              start a thread about a message, with everybody of the group in it
  room OWNER                  create a chat room
  destroy-room ROOM           end a chat room
  members ID                  who is in a group, thread or room
  push NAME META_HEX          put an encoded Meta into a queue of the user
  fill NAME FROM COUNT        put so many texts into a queue of the user
  refuse-sends NAME TIMES|all STATUS [REASON...]
                              refuse the user's next sends
  unanswered NAME TIMES       take the user's next sends without an answer
  accept-sends NAME           take and answer the user's sends again
  recall-window SECONDS|none  how long messages may be recalled
  repeat-window SECONDS|none  how long a repeated client id is recognised
  messages NAME OTHER         what two users have sent each other
  messages-in ID              what was sent in a group, thread or room
  file UUID                   an uploaded file
  expire-file UUID            drop an uploaded file
  door open|dropped|silent|refused|blackhole [SECONDS]
                              how new connections are treated, for good or for so long
  down                        cut every link and refuse connections
  up                          take connections again
  sessions [NAME]             who is online
  session-log [NAME]          every session with from_ms, to_ms, end (logout, link, replaced, kicked or null) and the
                              code of the kick it was sent
  online-twice                pairs of sessions in which one user was online twice
  frames NAME                 what the user's devices sent
  calls                       REST calls taken
  rates                       links, dials, logins, calls for tokens and probes: total, most in a second, by the second
  reset-rates                 count these anew
  help                        this text
  quit                        stop";

/// A stand-in for the chat service on a loopback port, for made-up users.
///
/// The first line on stdout says where it listens:
/// {"event":"listening","rest_url":...,"socket_url":...,"discovery_url":...,"app_key":...}
/// Programs on this machine read what it saw at REST_URL/_control/sessions, REST_URL/_control/online-twice
/// and REST_URL/_control/rates.
/// It ends with stdin, by SIGINT, SIGTERM or SIGHUP with 0, and with 6 when nobody reads stdout any more.
#[derive(Parser)]
#[command(after_help = COMMANDS)]
struct Options {
    /// Port on 127.0.0.1; 0 lets the system pick one. Without it 7070, where `load_harness` looks, or another if that is
    /// taken
    #[arg(long)]
    port: Option<u16>,
    /// Application key
    #[arg(long, value_name = "ORG#APP", default_value = "local#test")]
    app_key: String,
    /// A user to create (test users only: arguments can be read by others)
    #[arg(long = "user", value_name = "NAME:PASSWORD")]
    users: Vec<String>,
    /// How many users to create for `load_harness`: u000000, u000001 and so on, with the password pw
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    load_users: u32,
    /// Life of tokens, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 24 * 60 * 60)]
    token_life: u64,
    /// Undelivered messages kept for one device
    #[arg(long, value_name = "MESSAGES", default_value_t = 10_000)]
    queue_limit: usize,
    /// Messages in a page of a queue
    #[arg(long, value_name = "MESSAGES", default_value_t = 10)]
    page_size: usize,
    /// What a second login of a user with the same resource does
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Duplicate::Replace)]
    duplicate: Duplicate,
    /// Go on when stdin ends, or nobody reads stdout
    #[arg(long)]
    stay: bool,
}

/// A rule for a second login.
#[derive(Clone, Copy, ValueEnum)]
enum Duplicate {
    /// The older session is closed without a word
    Replace,
    /// The older session is kicked (206) with the text of the newer, then closed
    #[value(name = "replace-206")]
    Replace206,
    /// Both stay online
    KeepBoth,
    /// The newer login is refused
    RefuseNew,
}

impl From<Duplicate> for DuplicatePolicy {
    fn from(duplicate: Duplicate) -> Self {
        match duplicate {
            Duplicate::Replace => DuplicatePolicy::Replace,
            Duplicate::Replace206 => DuplicatePolicy::ReplaceWith206,
            Duplicate::KeepBoth => DuplicatePolicy::KeepBoth,
            Duplicate::RefuseNew => DuplicatePolicy::RefuseNew,
        }
    }
}

fn duplicate_words(policy: &str) -> String {
    format!("`{policy}` is no policy; they are replace, replace-206, keep-both and refuse-new")
}

type Answer = Result<Value, String>;

/// Where `load_harness` looks.
const USUAL_PORT: u16 = 7070;

/// In bytes, of a command.
const LONGEST_LINE: usize = 4 << 20;

const FAILED: u8 = 1;
const NOBODY_READS: u8 = 6;

fn main() {
    let options = Options::parse();
    let status = actix_rt::System::new().block_on(run(options)).unwrap_or_else(|problem| {
        let _ = writeln!(std::io::stderr(), "local_server: {problem}");
        FAILED
    });
    failure::leave(status);
}

/// Listens on the usual port, or on any where it is taken, unless told where.
async fn start(options: &Options) -> Result<LocalServer, String> {
    let at = |port| {
        LocalServer::builder()
            .app_key(&options.app_key)
            .port(port)
            .token_life(Some(Duration::from_secs(options.token_life)))
            .queue_limit(options.queue_limit)
            .page_size(options.page_size)
            .duplicates(options.duplicate.into())
            .start()
    };
    if let Some(port) = options.port {
        return at(port).await.map_err(text);
    }
    match at(USUAL_PORT).await {
        Ok(server) => Ok(server),
        Err(_) => at(0).await.map_err(text),
    }
}

/// Serves until stdin, a signal or the end of its reader ends it; the exit status.
async fn run(options: Options) -> Result<u8, String> {
    let mut signals = Signals::listen().map_err(text)?;
    let out = Out::start(|count| json!({"event": "missed", "count": count}).to_string()).map_err(text)?;
    let server = start(&options).await?;
    let status = tokio::select! {
        _ = signals.next() => 0,
        () = out.gone(), if !options.stay => NOBODY_READS,
        status = serve(&server, &options, &out) => status?,
    };
    server.stop().await;
    Ok(status)
}

async fn serve(server: &LocalServer, options: &Options, out: &Out) -> Result<u8, String> {
    for user in &options.users {
        let (name, password) = user.split_once(':').ok_or("--user takes NAME:PASSWORD")?;
        server.create_user(name, password).map_err(text)?;
    }
    for number in 0..options.load_users {
        server.create_user(&format!("u{number:06}"), "pw").map_err(text)?;
    }
    let listening = json!({
        "event": "listening",
        "rest_url": server.rest_url(),
        "socket_url": server.socket_url(),
        "discovery_url": server.discovery_url(),
        "app_key": server.app_key(),
    });
    // The next command waits until its answer is written, and the server does not.
    let mut gone = out.written(listening.to_string()).await.is_err();
    let mut commands = lines::of_stdin(LONGEST_LINE);
    let mut life = Some(Duration::from_secs(options.token_life));
    while let Some(line) = commands.recv().await {
        let line = match line {
            Line::Text(line) => Ok(line),
            Line::Broken(_) => Err("the line is not UTF-8"),
            Line::TooLong(_) => Err("the line is too long"),
        };
        let words: Vec<&str> = line.as_deref().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() && line.is_ok() {
            continue;
        }
        let answered = match line {
            Ok(_) => answer(server, &words, &mut life).await,
            Err(problem) => Err(problem.to_owned()),
        };
        let answer = match answered {
            Ok(Value::Object(mut members)) => {
                members.insert("ok".to_owned(), json!(true));
                Value::Object(members)
            }
            Ok(_) => json!({"ok": true}),
            Err(error) => json!({"ok": false, "error": error}),
        };
        gone |= out.written(answer.to_string()).await.is_err();
        if words == ["quit"] {
            return Ok(0);
        }
    }
    if options.stay {
        std::future::pending::<()>().await;
    }
    Ok(if gone { NOBODY_READS } else { 0 })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number that fits here"))
}

async fn answer(server: &LocalServer, words: &[&str], life: &mut Option<Duration>) -> Answer {
    match words {
        ["user", name, password] => server.create_user(name, password).map_err(text)?,
        ["token", name] => return token(server, name, *life),
        ["token", name, seconds] => return token(server, name, Some(Duration::from_secs(number(seconds)?))),
        ["kick", name, code, ext @ ..] => {
            let kick = match *code {
                "206" => Kick::LoggedInElsewhere { ext: (!ext.is_empty()).then(|| ext.join(" ").into()) },
                "207" => Kick::UserRemoved,
                "216" => Kick::PasswordChanged,
                "217" => Kick::ByOtherDevice,
                _ => return Err(format!("no kick has the code {code}; they are 206, 207, 216 and 217")),
            };
            return Ok(json!({"devices": server.kick(name, kick)}));
        }
        ["drop", name, "fin"] => return Ok(json!({"links": server.drop_links(name, Cut::Fin)})),
        ["drop", name, "rst"] => return Ok(json!({"links": server.drop_links(name, Cut::Rst)})),
        ["refuse", status, reason @ ..] => {
            let reason = (!reason.is_empty()).then(|| reason.join(" "));
            server.refuse_provisions(number(status)?, reason.as_deref());
        }
        ["accept"] => {
            server.accept_provisions();
            server.accept_upgrades();
        }
        ["refuse-of", name, status, reason @ ..] => {
            let reason = (!reason.is_empty()).then(|| reason.join(" "));
            server.refuse_provisions_of(name, None, number(status)?, reason.as_deref()).map_err(text)?;
        }
        ["accept-of", name] => server.accept_provisions_of(name),
        ["fail-tokens", status, retry_after @ ..] => {
            server.fail_rest(token_fault(status, retry_after)?).map_err(text)?;
        }
        ["fail-tokens-of", name, status, retry_after @ ..] => {
            server.fail_rest(token_fault(status, retry_after)?.of_user(name)).map_err(text)?;
        }
        ["give-tokens"] => server.clear_rest_faults(),
        ["expire-tokens", name] => return Ok(json!({"tokens": server.expire_tokens(name)})),
        ["reject-password", name, "on"] => server.reject_password(name, true).map_err(text)?,
        ["reject-password", name, "off"] => server.reject_password(name, false).map_err(text)?,
        ["cut-some", share, seed] => {
            return Ok(json!({"links": server.cut_some(number(share)?, number(seed)?, Cut::Fin)}));
        }
        ["cut-some", share, seed, "rst"] => {
            return Ok(json!({"links": server.cut_some(number(share)?, number(seed)?, Cut::Rst)}));
        }
        ["door", door] => server.door(to_door(door)?).await.map_err(text)?,
        ["door", door, seconds] => {
            let time = Duration::try_from_secs_f64(number(seconds)?).map_err(text)?;
            server.door_for(to_door(door)?, time).await.map_err(text)?;
        }
        ["rates"] => {
            let one = |what: &Activity| (what.name().to_owned(), json!(server.rate(*what)));
            return Ok(Value::Object(Activity::ALL.iter().map(one).collect()));
        }
        ["reset-rates"] => server.reset_rates(),
        ["redirect", host, port] => server.redirect_provisions(host, number(port)?),
        ["refuse-upgrades", status, retry_after @ ..] => {
            let retry_after = (!retry_after.is_empty()).then(|| retry_after.join(" "));
            server.refuse_upgrades(number(status)?, retry_after.as_deref()).map_err(text)?;
        }
        ["silent", "on"] => server.set_silent(true),
        ["silent", "off"] => server.set_silent(false),
        ["delay", ms] => server.set_delay(Duration::from_millis(number(ms)?)),
        ["token-life", "none"] => {
            *life = None;
            server.set_token_life(*life);
        }
        ["token-life", seconds] => {
            *life = Some(Duration::from_secs(number(seconds)?));
            server.set_token_life(*life);
        }
        ["delete", name] => server.delete_user(name).map_err(text)?,
        ["password", name, new] => server.change_password(name, new).map_err(text)?,
        ["send", from, to, message @ ..] if !message.is_empty() => {
            let id = server.send_text(from, to, &message.join(" ")).map_err(text)?;
            return Ok(json!({"id": id.to_string()}));
        }
        ["down"] => {
            server.stop_listening().await.map_err(text)?;
            return Ok(json!({"links": server.drop_all(Cut::Fin)}));
        }
        ["up"] => server.listen_again().await.map_err(text)?,
        ["duplicate", policy] => {
            server.set_duplicates(Duplicate::from_str(policy, false).map_err(|_| duplicate_words(policy))?.into());
        }
        ["sessions"] => return Ok(online(server, None)),
        ["sessions", name] => return Ok(online(server, Some(name))),
        ["session-log"] => return Ok(json!({"sessions": server.session_log()})),
        ["session-log", name] => {
            let mut log = server.session_log();
            log.retain(|session| session.user == name.to_lowercase());
            return Ok(json!({"sessions": log}));
        }
        ["online-twice"] => return Ok(json!({"pairs": server.online_twice()})),
        ["frames", name] => return Ok(frames(server, name)),
        ["calls"] => {
            let call = |call: agora_chat::local_server::RestCall| json!({"method": call.method, "path": call.path, "status": call.status});
            return Ok(json!({"calls": server.rest_calls().into_iter().map(call).collect::<Vec<_>>()}));
        }
        ["help"] => return Ok(json!({"help": COMMANDS})),
        ["quit"] => {}
        [] => {}
        _ => return conversation(server, words),
    }
    Ok(Value::Null)
}

fn token_fault(status: &str, retry_after: &[&str]) -> Result<RestFault, String> {
    let fault = RestFault::new("/token", number(status)?);
    match retry_after {
        [] => Ok(fault),
        words => fault.header("retry-after", &words.join(" ")).map_err(text),
    }
}

fn to_door(word: &str) -> Result<Door, String> {
    Ok(match word {
        "open" => Door::Open,
        "dropped" => Door::Dropped(Cut::Rst),
        "silent" => Door::Silent,
        "refused" => Door::Refused,
        "blackhole" => Door::Blackhole,
        _ => return Err(format!("`{word}` is no door: open, dropped, silent, refused or blackhole")),
    })
}

/// Groups, rooms and what is said.
fn conversation(server: &LocalServer, words: &[&str]) -> Answer {
    match words {
        ["send-to", kind, id, from, message @ ..] if !message.is_empty() => {
            let to = match *kind {
                "user" => Conversation::user(*id),
                "group" => Conversation::group(*id),
                "thread" => Conversation::thread(*id),
                "room" => Conversation::room(*id),
                _ => return Err(format!("`{kind}` is no kind of conversation: user, group, thread or room")),
            };
            let id = server.send_text_to(from, &to, &message.join(" ")).map_err(text)?;
            return Ok(json!({"id": id.to_string()}));
        }
        ["group", owner, members @ ..] => {
            return Ok(json!({"id": server.create_group(owner, members).map_err(text)?}));
        }
        ["add-member", group, name] => {
            return Ok(json!({"changed": server.add_member(group, name).map_err(text)?}));
        }
        ["remove-member", group, name] => {
            return Ok(json!({"changed": server.remove_member(group, name).map_err(text)?}));
        }
        ["destroy-group", group] => return Ok(json!({"changed": server.destroy_group(group)})),
        ["thread", group, message, name @ ..] if !name.is_empty() => {
            let id = server.create_thread(group, number(message)?, &name.join(" ")).map_err(text)?;
            return Ok(json!({"id": id}));
        }
        ["room", owner] => return Ok(json!({"id": server.create_room(owner).map_err(text)?})),
        ["destroy-room", room] => return Ok(json!({"changed": server.destroy_room(room)})),
        ["members", id] => {
            let members = [server.group_members(id), server.room_members(id)].concat();
            return Ok(json!({"members": members}));
        }
        ["push", name, bytes] => {
            let bytes = hex::decode(bytes).map_err(text)?;
            let meta = Meta::decode(bytes.as_slice()).map_err(text)?;
            return Ok(json!({"id": server.push_meta(name, meta).map_err(text)?.to_string()}));
        }
        ["fill", name, from, count] => server.fill_queue(name, from, number(count)?).map_err(text)?,
        ["refuse-sends", name, times, status, reason @ ..] => {
            let reason = (!reason.is_empty()).then(|| reason.join(" "));
            let (status, reason) = (number(status)?, reason.as_deref());
            match *times {
                "all" => server.refuse_sends(name, status, reason),
                times => server.refuse_next_sends(name, number(times)?, status, reason),
            }
            .map_err(text)?;
        }
        ["unanswered", name, times] => server.leave_next_sends_unanswered(name, number(times)?).map_err(text)?,
        ["accept-sends", name] => server.accept_sends(name),
        ["recall-window", seconds] => server.set_recall_window(window(seconds)?),
        ["repeat-window", seconds] => server.set_repeat_window(window(seconds)?),
        ["messages", name, other] => return Ok(messages(server.messages_between(name, other))),
        ["messages-in", id] => return Ok(messages(server.messages_in(id))),
        ["file", uuid] => {
            let file = server.file(uuid).ok_or("there is no such file")?;
            return Ok(json!({"name": file.name, "content_type": file.content_type, "length": file.bytes.len()}));
        }
        ["expire-file", uuid] => return Ok(json!({"changed": server.expire_file(uuid)})),
        [first, ..] => return Err(format!("`{first}` is no command, or not with these words; try `help`")),
        [] => {}
    }
    Ok(Value::Null)
}

fn window(seconds: &str) -> Result<Option<Duration>, String> {
    if seconds == "none" { Ok(None) } else { Ok(Some(Duration::from_secs(number(seconds)?))) }
}

/// Messages with what they say, and their encoded Meta.
fn messages(list: Vec<agora_chat::local_server::StoredMessage>) -> Value {
    let one = |message: agora_chat::local_server::StoredMessage| {
        let read = message.message();
        let action = match read.as_ref().map(|message| &message.body) {
            Some(MessageBody::Command { action }) => Some(action.to_string()),
            _ => None,
        };
        json!({
            "id": message.id.to_string(), "from": message.from, "to": read.as_ref().map(|message| &*message.to),
            "type": read.as_ref().map(|message| kind(&message.body)), "text": message.text(), "action": action,
            "edits": message.edits, "delivered_to": message.delivered_to, "read_by": message.read_by,
            "meta": hex::encode(message.meta.encode_to_vec()),
        })
    };
    json!({"messages": list.into_iter().map(one).collect::<Vec<_>>()})
}

fn kind(body: &MessageBody) -> &'static str {
    match body {
        MessageBody::Text(_) => "text",
        MessageBody::Command { .. } => "command",
        MessageBody::Custom(_) => "custom",
        MessageBody::Location(_) => "location",
        MessageBody::Image(_) => "image",
        MessageBody::Voice(_) => "voice",
        MessageBody::Video(_) => "video",
        MessageBody::File(_) => "file",
        MessageBody::Combined(_) => "combined",
        MessageBody::Stream(_) => "stream",
        _ => "raw",
    }
}

fn token(server: &LocalServer, name: &str, life: Option<Duration>) -> Answer {
    Ok(json!({"token": server.issue_token(name, life).map_err(text)?}))
}

fn online(server: &LocalServer, name: Option<&str>) -> Value {
    let list = name.map_or_else(|| server.all_sessions(), |name| server.sessions(name));
    let one = |device: agora_chat::local_server::SessionInfo| {
        json!({
            "user": device.user, "resource": device.resource, "since_ms": device.since_ms, "os_type": device.os_type,
            "device_name": device.device_name, "version": device.version,
        })
    };
    json!({"sessions": list.into_iter().map(one).collect::<Vec<_>>()})
}

/// Kinds and lengths, not bytes: a PROVISION holds a token.
fn frames(server: &LocalServer, name: &str) -> Value {
    let one = |frame: agora_chat::local_server::ClientFrame| {
        let what = match &frame.kind {
            FrameKind::Send { id, to, namespace } => {
                json!({"id": id.to_string(), "to": to, "namespace": namespace})
            }
            FrameKind::Pull { queue, key } => json!({"queue": queue, "key": key.map(|key| key.to_string())}),
            _ => json!({}),
        };
        let mut shown = json!({
            "kind": frame.kind.name(), "length": frame.bytes.len(), "resource": frame.resource, "at_ms": frame.at_ms,
        });
        if let (Value::Object(shown), Value::Object(what)) = (&mut shown, what) {
            shown.extend(what);
        }
        shown
    };
    json!({"frames": server.sent_by(name).into_iter().map(one).collect::<Vec<_>>()})
}
