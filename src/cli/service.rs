//! `watermarkd service`: the Windows service; elsewhere the commands that do the same.

#[cfg(windows)]
mod windows;

use std::process::ExitCode;

use clap::Subcommand;

use super::config_file::ConfigFile;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the service so that it starts with the system, and print the rights that its account
    /// needs.
    Install {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Stop the service and remove it. Configuration, ledger and log stay.
    Uninstall,
    /// Start the service and wait until it watches its folders.
    Start,
    /// Stop the service and wait until the pictures that are being processed are finished.
    Stop,
    /// Reload the configuration. The log of the service says whether it was taken.
    Reload,
    /// Say whether the service is installed and running.
    Status,
    /// What the service manager starts.
    #[command(hide = true)]
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[cfg(windows)]
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Install { config } => windows::install(config),
        Command::Uninstall => windows::uninstall(),
        Command::Start => windows::start(),
        Command::Stop => windows::stop(),
        Command::Reload => windows::reload(),
        Command::Status => windows::status(),
        Command::Run { config } => windows::serve(config),
    }
}

#[cfg(not(windows))]
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    use std::io::{self, Write};

    let steps = match command {
        Command::Install { .. } => steps::INSTALL,
        Command::Uninstall => steps::UNINSTALL,
        Command::Start => steps::START,
        Command::Stop => steps::STOP,
        Command::Reload => steps::RELOAD,
        Command::Status => steps::STATUS,
        Command::Run { .. } => {
            anyhow::bail!("only Windows starts services so: use \"watermarkd run\"")
        }
    };
    write!(io::stdout(), "{steps}")?;
    Ok(ExitCode::SUCCESS)
}

/// systemd. The unit for older versions works with all of them. It has a user of its own and may
/// write only to what a drop-in names, so the folders lie in /srv and not beside the configuration.
#[cfg(not(any(windows, target_os = "macos")))]
mod steps {
    pub const INSTALL: &str = "\
# systemd runs the service. The Debian package does all of this. By hand: run these commands as root
# in a clone of the repository, after `cargo build --release`.
install -m 755 target/release/watermarkd /usr/bin/watermarkd
install -D -m 644 packaging/systemd/watermarkd.sysusers.conf /usr/lib/sysusers.d/watermarkd.conf
systemd-sysusers watermarkd.conf
install -m 644 packaging/systemd/watermarkd-legacy.service /etc/systemd/system/watermarkd.service

# A configuration and a sample mark in /etc/watermarkd, the folders in /srv/watermarkd.
watermarkd init /etc/watermarkd
rmdir /etc/watermarkd/in /etc/watermarkd/out
sed -i -e 's|^  - input: in$|  - input: /srv/watermarkd/in|' -e 's|^    output: out$|    output: /srv/watermarkd/out|' /etc/watermarkd/config.yaml
install -d -o watermarkd -g watermarkd /srv/watermarkd/in /srv/watermarkd/out

# The service may write only to the folders that are named here. Add yours.
mkdir -p /etc/systemd/system/watermarkd.service.d
printf '[Service]\\nReadWritePaths=-/srv/watermarkd\\n' > /etc/systemd/system/watermarkd.service.d/folders.conf

watermarkd check -c /etc/watermarkd/config.yaml
systemctl daemon-reload
systemctl enable --now watermarkd
";
    pub const UNINSTALL: &str = "\
systemctl disable --now watermarkd
rm -r /etc/systemd/system/watermarkd.service /etc/systemd/system/watermarkd.service.d
rm /usr/lib/sysusers.d/watermarkd.conf
systemctl daemon-reload
";
    pub const START: &str = "systemctl start watermarkd\n";
    pub const STOP: &str = "systemctl stop watermarkd\n";
    pub const RELOAD: &str = "systemctl reload watermarkd\n";
    pub const STATUS: &str = "systemctl status watermarkd\n";

    #[cfg(test)]
    mod tests {
        use std::{fs, path::Path};

        use super::INSTALL;
        use crate::cli::init::EXAMPLE;

        /// The words of the steps that begin with `start`.
        fn steps(start: &str) -> Vec<Vec<&'static str>> {
            let steps = INSTALL.lines().filter(|line| line.starts_with(start));
            steps.map(|line| line.split(' ').collect()).collect()
        }

        #[test]
        fn what_is_installed_is_in_the_repository() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let files: Vec<&str> = steps("install ")
                .into_iter()
                .flatten()
                .filter(|word| word.starts_with("packaging/"))
                .collect();
            assert_eq!(files.len(), 2);
            for file in files {
                assert!(root.join(file).is_file(), "{file}");
            }
        }

        #[test]
        fn the_unit_finds_its_user_its_program_and_its_folders() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
            let unit = fs::read_to_string(root.join("watermarkd-legacy.service")).unwrap();
            let users = fs::read_to_string(root.join("watermarkd.sysusers.conf")).unwrap();
            assert!(unit.contains("\nUser=watermarkd\n") && users.contains("\nu watermarkd "));
            assert!(unit.contains("\nExecStart=/usr/bin/watermarkd run\n"));
            // What is written to lies where the drop-in allows it.
            for folder in ["  - input: in\n", "    output: out\n"] {
                assert!(EXAMPLE.contains(folder), "{folder} is what sed looks for");
            }
            assert!(INSTALL.contains("input: /srv/watermarkd/in|"));
            assert!(INSTALL.contains("output: /srv/watermarkd/out|"));
            assert!(INSTALL.contains("ReadWritePaths=-/srv/watermarkd\\n"));
        }
    }
}

/// launchd knows neither readiness nor a status of the daemon; its log has both.
#[cfg(target_os = "macos")]
mod steps {
    pub const INSTALL: &str = "\
# launchd runs the service. Run these commands as root in a clone of the repository, after
# `cargo build --release` and after you have written the configuration that the plist names.
install -m 755 target/release/watermarkd /usr/local/bin/
install -m 644 packaging/launchd/watermarkd.plist /Library/LaunchDaemons/
launchctl bootstrap system /Library/LaunchDaemons/watermarkd.plist
";
    pub const UNINSTALL: &str = "\
launchctl bootout system/watermarkd
rm /Library/LaunchDaemons/watermarkd.plist
";
    pub const START: &str = "launchctl kickstart system/watermarkd\n";
    pub const STOP: &str = "launchctl bootout system/watermarkd\n";
    pub const RELOAD: &str = "launchctl kill SIGHUP system/watermarkd\n";
    pub const STATUS: &str = "launchctl print system/watermarkd\n";
}
