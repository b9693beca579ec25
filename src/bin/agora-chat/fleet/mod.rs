//! `agora-chat fleet`: many accounts in one process.

mod accounts;
mod changes;
mod check;
mod config;
mod echo;
mod folder;
mod roster;
mod run;
mod tokens;

use clap::Subcommand;

/// The subcommands of `fleet`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keep the accounts of a file online until a signal ends it
    Run(run::Args),
    /// Read the same files as `run`, say what it would do, and connect to nothing
    Check(check::Args),
}

impl Command {
    /// Runs it and returns the exit status.
    pub(crate) fn run(self) -> u8 {
        match self {
            Command::Run(args) => run::main(&args),
            Command::Check(args) => check::main(&args),
        }
    }
}

/// What both subcommands tell of the configuration.
pub(crate) const FILES: &str = r#"
The configuration, TOML; a relative path is one from the configuration's own folder:

  app_key = "org#app"
  rest_url = "https://rest.example.com"              # both or neither; neither: discovery
  socket_url = "wss://im.example.com/websocket"
  discovery_url = "https://example.com"              # optional: where to ask for server.json
  allow_plaintext = false                            # http and ws to other machines
  accounts = "accounts.csv"                          # header: user,password or user,token; optional tag, weight
  state_dir = "state"                                # device identities, token cache, cursors, dead letters, lock
  ca_file = "ca.pem"                                 # optional: root certificates besides the system's
  node = "a"                                         # optional: this process's name; else the machine's

  [log]
  level = "INFO"                                     # trace, debug, info, warn, error, silent or 0 to 5
  file = "fleet.log"                                 # optional, besides stderr

  [pace]                                             # of logins and reconnects together
  logins_per_second = 100
  burst = 50
  concurrent = 64

  [kicks]                                            # after a kick by a login that is not of this fleet
  policy = "park"                                    # or "retry_after" with pause = "60s",
                                                     # or "take_over" with times = 3, window = "10m"
  [drain]
  deadline = "25s"                                   # what is not logged out by then is reset

  [admin]                                            # optional: JSON, metrics and a page for people
  listen = "127.0.0.1:8080"                          # loopback, unless a token_file is given
  token_file = "admin-token"                         # optional: what each call sends as a bearer token
  hosts = ["bots.example.com"]                       # optional: names that it is called by, such as a proxy's

  [tokens]                                           # optional: where accounts given by token get the next one; the
                                                     # token of a line may then be empty
  app_certificate_file = "cert"                      # App ID and App Certificate, or the latter alone beside app_id
  life = "24h"                                       # of tokens made with the certificate
  # or:
  provider_url = "https://bots.example.com/token"    # https, or http on loopback
  provider_key_file = "key"                          # optional: sent as a bearer token

  [bot]                                              # optional: what is done with messages; without it they are dropped
  echo = true                                        # answers every text with itself, never its own, never an echo
"#;
