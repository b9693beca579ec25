//! The program of operators: `agora-chat --help` has its subcommands.

mod exit;
#[path = "../../../examples/common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;
mod fleet;
mod notify;
#[path = "../../../examples/common/out.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod out;
mod print;
#[path = "../../../examples/common/secrets.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod secrets;
mod signals;

use clap::{Parser, Subcommand};

/// Programs for Agora Chat: each subcommand is one, with a `--help` of its own.
#[derive(Parser)]
#[command(name = "agora-chat", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep many accounts online in one process
    #[command(subcommand)]
    Fleet(fleet::Command),
}

fn main() {
    let status = match Cli::parse().command {
        Command::Fleet(command) => command.run(),
    };
    failure::leave(status);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        super::Cli::command().debug_assert();
    }
}
