//! `agora-chat fleet check`.

use std::path::PathBuf;

use agora_chat::KickPolicy;
use serde_json::json;

use super::{
    FILES,
    accounts::{self, Row, Secret},
    config::Settings,
};
use crate::{exit, print};

/// Reads the same files as `run`, says what it would do, and connects to nothing.
#[derive(clap::Args)]
#[command(after_long_help = format!("{FILES}
Nothing is made, locked or connected to. Mistakes go to stderr, each with file and line.

Exit status: 0 all is right, 2 something is wrong, 6 stdout is gone."))]
pub(crate) struct Args {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON object instead of sentences
    #[arg(long)]
    json: bool,
}

/// Reads configuration and accounts; tells what is wrong with them.
pub(super) fn read(config: &std::path::Path) -> Option<(Settings, Vec<Row>)> {
    let settings = match Settings::read(config) {
        Ok(settings) => settings,
        Err(mistake) => {
            print::problem(mistake);
            return None;
        }
    };
    match accounts::read(&settings.accounts, settings.tokens.as_ref()) {
        Ok(rows) => Some((settings, rows)),
        Err(mistakes) => {
            mistakes.iter().for_each(print::problem);
            None
        }
    }
}

pub(crate) fn main(args: &Args) -> u8 {
    let Some((settings, rows)) = read(&args.config) else { return exit::USAGE };
    let by_token = rows.iter().filter(|row| !matches!(row.secret, Secret::Password(_))).count();
    let seconds = (rows.len() as f64 / settings.pace.per_second).ceil();
    let kicks = match &settings.kicks {
        KickPolicy::Park => "park".to_owned(),
        KickPolicy::RetryAfter(pause) => format!("retry_after {pause:?}"),
        KickPolicy::TakeOver { times, window } => format!("take_over {times} times in {window:?}"),
        other => format!("{other:?}"),
    };
    let tokens = match (&settings.tokens, by_token) {
        (_, 0) => "no account is given by token",
        (Some(source), _) => source.words(),
        (None, _) => "nobody gives another: such an account ends with its token",
    };
    let messages = if settings.echo { "each text is answered with itself" } else { "dropped" };
    let admin = settings.admin.as_ref().map(|admin| {
        let with = if admin.token.is_some() { ", with a token" } else { ", without a token" };
        format!("http://{}{with}", admin.listen)
    });
    let log_file = settings.log_file.as_ref().map(|file| file.display().to_string());
    let told = if args.json {
        print::line(json!({
            "accounts": rows.len(), "by_token": by_token, "app_key": settings.app_key, "service": settings.service,
            "node": settings.node, "state_dir": settings.state_dir.display().to_string(),
            "logins_per_second": settings.pace.per_second, "logged_in_after_s": seconds, "kicks": kicks,
            "echo": settings.echo, "tokens": tokens, "drain_s": settings.drain.as_secs_f64(),
            "admin": settings.admin.as_ref().map(|admin| admin.listen.to_string()), "log_file": log_file,
        }))
    } else {
        print::line(format_args!(
            "\
accounts   {} ({by_token} by token), all logged in after about {seconds} s
service    {} at {}
node       {}
state      {}
kicks      {kicks}
messages   {messages}
tokens     {tokens}
admin      {}
log        {} on stderr{}
drain      within {:?}",
            rows.len(),
            settings.app_key,
            settings.service,
            settings.node,
            settings.state_dir.display(),
            admin.as_deref().unwrap_or("none"),
            settings.level,
            log_file.map(|file| format!(" and in {file}")).unwrap_or_default(),
            settings.drain,
        ))
    };
    if told { exit::DONE } else { exit::NOBODY_READS }
}
