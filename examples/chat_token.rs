//! Builds and inspects tokens for Agora Chat, as an app's server does.
//!
//! The app comes from `AGORA_APP_ID` and `AGORA_APP_CERTIFICATE`, a token to inspect from stdin, so that no secret is
//! seen in a process list:
//!
//! ```sh
//! cargo run --example chat_token -- user alice 3600 > token
//! cargo run --example chat_token -- inspect --user alice < token
//! ```

#[path = "common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;
#[path = "common/secrets.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod secrets;

use std::{
    error::Error,
    io::{Read as _, Write as _, stdin, stdout},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agora_chat::{
    UserId,
    account::Token,
    token::{ChatTokenBuilder, MAX_CONTENT, NewChatToken},
};
use clap::{Args, Parser, Subcommand};
use serde_json::json;

/// Builds and inspects tokens for Agora Chat.
///
/// The app comes from AGORA_APP_ID and AGORA_APP_CERTIFICATE.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Print a token for a user.
    User {
        user: UserId,
        seconds: u64,
        #[command(flatten)]
        fixed: Fixed,
    },
    /// Print a token for the app.
    App {
        seconds: u64,
        #[command(flatten)]
        fixed: Fixed,
    },
    /// Read a token from stdin and print what it says of itself, as JSON.
    ///
    /// With AGORA_APP_ID and AGORA_APP_CERTIFICATE also whether it is signed by that app.
    Inspect {
        /// Who wants to log in with it.
        #[arg(long)]
        user: Option<UserId>,
    },
}

/// For a token that can be foretold; by default it is made now, with a salt by chance.
#[derive(Args)]
struct Fixed {
    /// The time of issue, in seconds since 1970.
    #[arg(long, requires = "salt")]
    issued_at: Option<u32>,
    #[arg(long, requires = "issued_at")]
    salt: Option<u32>,
}

impl Fixed {
    fn build(&self, new: &NewChatToken<'_>) -> Token {
        match (self.issued_at, self.salt) {
            (Some(issued_at), Some(salt)) => new.build(issued_at, salt),
            _ => new.build_now(),
        }
    }
}

fn app() -> Result<ChatTokenBuilder, Box<dyn Error>> {
    let variable = |name| secrets::variable(name)?.ok_or_else(|| format!("{name} is not set"));
    Ok(ChatTokenBuilder::new(&variable("AGORA_APP_ID")?, variable("AGORA_APP_CERTIFICATE")?)?)
}

fn main() -> ExitCode {
    failure::status(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    match Options::parse().task {
        Task::User { user, seconds, fixed } => {
            writeln!(stdout(), "{}", fixed.build(&app()?.user(&user, Duration::from_secs(seconds))?).expose())?;
        }
        Task::App { seconds, fixed } => {
            writeln!(stdout(), "{}", fixed.build(&app()?.app(Duration::from_secs(seconds))?).expose())?;
        }
        Task::Inspect { user } => {
            let mut text = String::new();
            stdin().take(2 * MAX_CONTENT as u64).read_to_string(&mut text)?;
            let token = Token::new(secrets::unmarked(&text).trim())?;
            let app = secrets::variable("AGORA_APP_CERTIFICATE")?.map(|_| app()).transpose()?;
            let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
            let info = token.inspect();
            let problems = info.problems(now, user.as_ref(), app.as_ref().map(ChatTokenBuilder::app_id));
            let told = json!({
                "kind": info.kind.to_string(),
                "app_id": info.app_id,
                "user": info.user,
                "issued_at": info.issued_at,
                "expires_at": info.expires_at,
                "services": info.services,
                "signed": app.map(|app| app.signed(&token)),
                "problems": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            });
            writeln!(stdout(), "{told}")?;
        }
    }
    Ok(())
}
