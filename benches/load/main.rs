//! The load generator: clients and backend in one thread around whatever stands between them.
//!
//! `benches/run` starts it, one process a measurement; each prints one line of JSON. It does not
//! know which proxy it measures, nor what a good result is.

mod args;
mod certificate;
mod exchange;
mod failure;
mod measure;
mod meter;
mod pattern;
mod rig;
mod spoil;
mod tls;
mod upgrade;
mod wire;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use failure::Failure;

fn main() -> ExitCode {
    let Some(command) = Args::parse().command else {
        println!("the load generator; benches/run measures with it");
        return ExitCode::SUCCESS;
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("load: {failure}");
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let result = match command {
        Command::Certificate { folder } => return certificate::write_to(&folder),
        Command::Spoil { listen, to, every } => return spoil::relay(listen, to, every),
        Command::Echo(args) => measure::echo::run(&args)?,
        Command::Rate(args) => measure::rate::run(&args)?,
        Command::Connect(args) => measure::connect::run(&args)?,
        Command::Bulk(args) => measure::bulk::run(&args)?,
        Command::Idle(args) => measure::idle::run(&args)?,
    };
    println!("{result}");
    Ok(())
}
