//! The binary: arguments to command to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    watermarkd::cli::run()
}
