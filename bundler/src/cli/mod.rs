// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: one file per command.
//!
//! [`main()`] parses, runs one command, prints what went wrong and chooses the
//! exit code. Commands print their result to standard output and everything
//! else to standard error.

mod build;
mod cat;
mod diff;
mod exec;
mod export;
mod extract;
mod fetch;
mod inspect;
mod list;
mod logs;
mod output;
mod pull;
mod push;
mod run;
mod runs;
mod sbom;
mod store;
mod stub;
mod update;
mod value;
mod verify;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::progress::{Progress, Verbosity, for_stderr};

/// How a command ended, as exit codes that scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 0: done, equal, intact.
    Success,
    /// 1: `diff` found a difference, `verify` found damage.
    Difference,
    /// What a program that `exec` started ended with.
    Status(u8),
}

/// Exit code of any error but those of the command line itself, which is 2.
const FAILURE: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  elfuse-bundle alpine:latest -o alpine        one macOS program from a registry image
  elfuse-bundle oci:./layout:v1 -o box         ... from an OCI layout
  elfuse-bundle rootfs:./root --cmd /bin/sh    ... from a directory
  elfuse-bundle jq:1.7 --cli -o jq             a program that takes its own arguments
  elfuse-bundle run ./alpine sh                try it on Linux, without a Mac
  elfuse-bundle inspect ./alpine               what is in a bundle
  elfuse-bundle verify ./alpine                check every byte of it

Exit codes: 0 done, 1 different or damaged, 2 wrong usage, 3 failed.";

/// Turns a Linux container image into one self-contained macOS program.
#[derive(Debug, Parser)]
#[command(
    name = "elfuse-bundle",
    version,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    build: build::BuildArgs,
    #[command(flatten)]
    global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "In every command")]
struct Global {
    /// Say nothing but errors
    #[arg(long, short = 'q', global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is done, line by line, and how long it took
    #[arg(long, global = true)]
    verbose: bool,
    /// Keep blobs and squashed layers here [default: the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "ELFUSE_BUNDLE_STORE")]
    store: Option<std::path::PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch an image into the store
    Pull(pull::PullArgs),
    /// Run a bundle: on Linux in the simulator, on a Mac as it is
    Run(run::RunArgs),
    /// List runs that have a name
    Ps(runs::PsArgs),
    /// End runs by name
    Stop(runs::StopArgs),
    /// Print what a detached run has printed
    Logs(logs::LogsArgs),
    /// Start a program beside the one of a run
    Exec(exec::ExecArgs),
    /// Describe a bundle, or an image in the store
    Inspect(inspect::InspectArgs),
    /// Check every byte of a bundle
    Verify(verify::VerifyArgs),
    /// List the files in a bundle
    List(list::ListArgs),
    /// Print files of a bundle
    Cat(cat::CatArgs),
    /// Write the files of a bundle to a directory
    Extract(extract::ExtractArgs),
    /// Compare two bundles
    Diff(diff::DiffArgs),
    /// Write the image for other tools: OCI layout, OCI archive, docker archive
    Export(export::ExportArgs),
    /// Upload the image to a registry
    Push(push::PushArgs),
    /// List the packages inside: SPDX or CycloneDX
    Sbom(sbom::SbomArgs),
    /// Build a bundle again from the image it was made of
    Update(update::UpdateArgs),
    /// Tell what the store holds
    Status(store::StatusArgs),
    /// Make the store smaller
    Prune(store::PruneArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  elfuse-bundle completions bash > ~/.local/share/bash-completion/completions/elfuse-bundle\n  elfuse-bundle completions zsh > ~/.zfunc/_elfuse-bundle"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Global {
    fn progress(&self) -> Box<dyn Progress> {
        for_stderr(match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        })
    }

    fn open_store(&self) -> anyhow::Result<crate::store::Store> {
        Ok(crate::store::Store::open(self.store.as_deref())?)
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    survive_full_files();
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Difference) => ExitCode::from(1),
        Ok(Outcome::Status(status)) => ExitCode::from(status),
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(FAILURE)
        }
    }
}

/// At the limit of a file's size (`ulimit -f`) a write fails and says so, where the
/// signal's default would end the program without a word. A handler and not
/// `SIG_IGN`, which programs that are started would inherit.
fn survive_full_files() {
    // Nothing is lost if that is refused but the message.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Parses a command line. Options of all commands may stand before a command's
/// name, those of the build command may not: they would be without effect.
fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    // clap takes a variable of the environment for an argument: even an empty one, and
    // it shows no help then.
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let is_void = |name: &OsStr| args.len() < 2 || is_empty(name);
    let without_void = |arg: clap::Arg| {
        if arg.get_env().is_some_and(is_void) {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    };
    let mut command = Cli::command()
        .mut_args(without_void)
        .mut_subcommands(|command| command.mut_args(without_void));
    let matches = command.try_get_matches_from_mut(args)?;
    if matches.subcommand().is_none() && !matches.contains_id("image") {
        let message = "no image named; --help shows examples";
        return Err(command.error(ErrorKind::MissingRequiredArgument, message));
    }
    if let Some((name, _)) = matches.subcommand() {
        let is_given = |id: &&clap::Id| {
            let is_global = command
                .get_arguments()
                .any(|arg| arg.get_id() == *id && arg.is_global_set());
            let is_group = command.get_groups().any(|group| group.get_id() == *id);
            let source = matches.value_source(id.as_str());
            source == Some(ValueSource::CommandLine) && !is_global && !is_group
        };
        if let Some(id) = matches.ids().find(is_given) {
            let message = format!("{id} is for building a bundle and cannot stand before '{name}'");
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
    }
    let cli = Cli::from_arg_matches(&matches)?;
    // Only together do the words tell which of them are values.
    value::run_options(&cli.build.change.run_option)
        .map_err(|message| command.error(ErrorKind::ValueValidation, message))?;
    Ok(cli)
}

fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let global = &cli.global;
    match cli.command {
        None => build::run(&cli.build, global),
        Some(Command::Pull(args)) => pull::run(&args, global),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Ps(args)) => runs::ps(&args),
        Some(Command::Stop(args)) => runs::stop(&args),
        Some(Command::Logs(args)) => logs::run(&args),
        Some(Command::Exec(args)) => exec::run(&args),
        Some(Command::Inspect(args)) => inspect::run(&args, global),
        Some(Command::Verify(args)) => verify::run(&args, global),
        Some(Command::List(args)) => list::run(&args),
        Some(Command::Cat(args)) => cat::run(&args),
        Some(Command::Extract(args)) => extract::run(&args, global),
        Some(Command::Diff(args)) => diff::run(&args, global),
        Some(Command::Export(args)) => export::run(&args, global),
        Some(Command::Push(args)) => push::run(&args, global),
        Some(Command::Sbom(args)) => sbom::run(&args, global),
        Some(Command::Update(args)) => update::run(&args, global),
        Some(Command::Status(args)) => store::status(&args, global),
        Some(Command::Prune(args)) => store::prune(&args, global),
        Some(Command::Completions { shell }) => {
            // The generator panics where its writer fails.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "elfuse-bundle", &mut script);
            let mut script = String::from_utf8(script)?;
            if shell == clap_complete::Shell::Bash {
                // Its words for a program with a hyphen are not those it looks for, which
                // would leave all commands without completions.
                script = script.replace("elfuse__subcmd__bundle", "elfuse__bundle");
            }
            output::until_closed(|out| out.write_all(script.as_bytes()))?;
            Ok(Outcome::Success)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_an_example() {
        let mut cli = Cli::command();
        cli.build();
        let commands = cli.get_subcommands_mut();
        for command in commands.filter(|command| command.get_name() != "help") {
            let (name, help) = (command.get_name().to_owned(), command.render_help());
            let help = help.to_string();
            assert!(help.contains("\nExample"), "{name}: {help}");
        }
    }

    /// The examples of all helps, up to what the shell does with their output.
    fn examples() -> Vec<String> {
        let mut cli = Cli::command();
        cli.build();
        let helps = std::iter::once(&cli).chain(cli.get_subcommands());
        let helps: Vec<String> = helps
            .filter_map(|command| Some(command.get_after_help()?.to_string()))
            .collect();
        let lines = helps.iter().flat_map(|help| help.lines());
        let commands = lines.filter_map(|line| line.split_once("elfuse-bundle "));
        commands
            .map(|(_, words)| {
                let end = ["  ", " (", " >", " |", " &&"]
                    .iter()
                    .filter_map(|end| words.find(end));
                words[..end.min().unwrap_or(words.len())].to_owned()
            })
            .collect()
    }

    #[test]
    fn examples_of_helps_are_command_lines() {
        let examples = examples();
        assert!(examples.len() > 35, "{examples:?}");
        for example in examples {
            // Quotes hold one word together, and there is at most one such word.
            let mut words = vec![OsString::from("elfuse-bundle")];
            for (index, part) in example.split('\'').enumerate() {
                match index % 2 {
                    0 => words.extend(part.split_whitespace().map(OsString::from)),
                    _ => words.push(part.into()),
                }
            }
            let parsed = parse(words);
            assert!(parsed.is_ok(), "{example}: {:?}", parsed.err());
        }
    }

    #[test]
    fn paragraphs_of_helps_are_left_to_the_terminals_width() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ');
            let lines: Vec<&str> = help.lines().collect();
            let is_broken = |pair: &[&str]| is_text(pair[0]) && is_text(pair[1]);
            assert!(!lines.windows(2).any(is_broken), "{help}");
        }
    }

    #[test]
    fn options_without_an_image_are_wrong_usage() {
        for words in [&["elfuse-bundle"][..], &["elfuse-bundle", "--offline"]] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_meant_are_wrong_usage() {
        for value in [
            ["--add-file", "conf"],
            ["--add-file", "conf:etc/conf"],
            ["--add-dir", ":/etc"],
            ["--env", "X"],
            ["--label", "=x"],
            ["--entrypoint", "[\"a\", 1]"],
            ["--cmd", "[a"],
            ["--workdir", "work"],
            ["--run-option", "read-only"],
            ["--run-option", "--read-onyl"],
        ] {
            let args = [&["elfuse-bundle", "alpine"], &value[..]].concat();
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{value:?}: {error}");
        }
    }

    #[test]
    fn image_alone_is_the_build_command() {
        let cli = parse(["elfuse-bundle", "alpine:latest", "-o", "x"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.build.image.as_deref(), Some("alpine:latest"));
    }

    #[test]
    fn subcommands_need_no_image() {
        let cli = parse(["elfuse-bundle", "status", "--json", "-q"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Status(_))));
        assert!(cli.global.quiet);
    }

    #[test]
    fn everything_after_the_bundle_is_the_bundles() {
        let words = [
            "elfuse-bundle",
            "-q",
            "run",
            "./box",
            "-q",
            "--help",
            "--",
            "sh",
            "-c",
        ];
        let cli = parse(words).unwrap();
        let Some(Command::Run(args)) = cli.command else {
            panic!("not the run command");
        };
        assert_eq!(args.words(), &words[3..]);
    }

    #[test]
    fn global_options_may_stand_before_the_command() {
        let cli = parse(["elfuse-bundle", "-q", "--store", "s", "list", "file"]).unwrap();
        assert!(matches!(cli.command, Some(Command::List(_))));
        assert!(cli.global.quiet && cli.global.store.is_some());
    }

    #[test]
    fn build_options_before_a_command_are_refused() {
        for words in [
            &["-o", "x", "list", "file"][..],
            &["alpine", "list", "file"],
            &["--strip", "verify", "file"],
            &["--offline", "verify", "file"],
        ] {
            let args = [&["elfuse-bundle"], words].concat();
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }
}
