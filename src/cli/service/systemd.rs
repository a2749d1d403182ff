//! `watermarkd service` under systemd: looks at the machine, then does what the plan says or prints
//! it.

mod dropin;
mod plan;
mod step;

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};
use directories::{ProjectDirs, UserDirs};

use self::{
    dropin::Place,
    plan::{Account, Found, Scope},
    step::{Step, USER},
};
use crate::{
    cli::terminal::{line, quoted},
    config::{self, Config, Source},
    exit, os,
};

const SYSTEM_UNITS: &str = "/etc/systemd/system";
const SYSTEM_CONFIG: &str = "/etc/watermarkd/config.yaml";
const SYSTEM_PROGRAM: &str = "/usr/local/bin/watermarkd";
/// Folders in which a program stays where it is.
const LASTING: [&str; 2] = ["/usr", "/opt"];

/// Which service manager is meant, and whether it is only shown what would be done.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Manner {
    /// Your own service, which runs while you are logged in, instead of the machine's.
    #[arg(long)]
    user: bool,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

pub fn install(config: Option<&Path>, manner: Manner) -> anyhow::Result<ExitCode> {
    manner.needs_systemd_and_rights("install")?;
    let found = look(config, manner)?;
    manner.perform(&plan::install(&found))?;
    if !manner.dry_run {
        tell(&found)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn uninstall(manner: Manner) -> anyhow::Result<ExitCode> {
    manner.needs_systemd_and_rights("uninstall")?;
    let units = manner.units()?;
    // Only the one that an installation has put there.
    let drop_in = fs::read_to_string(units.join("watermarkd.service.d").join(plan::DROP_IN));
    let drop_in = drop_in.unwrap_or_default();
    let program = manner.lasting_program().filter(|program| {
        let start = format!("\nExecStart={} ", plan::argument(program));
        drop_in.contains(&start)
    });
    manner.perform(&plan::uninstall(&manner.scope(), &units, program))?;
    if !manner.dry_run {
        let text = "removed; configuration, ledger, log, pictures and the user stay";
        line(&mut io::stdout(), format_args!("{text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has systemctl do it, whose exit code is ours.
pub fn control(verb: &str, manner: Manner) -> anyhow::Result<ExitCode> {
    let scope: &[&str] = if manner.user { &["--user"] } else { &[] };
    let words = [scope, &[verb, "watermarkd"]].concat();
    if manner.dry_run {
        manner.perform(&[Step::run(&[&["systemctl"], &words[..]].concat())])?;
        return Ok(ExitCode::SUCCESS);
    }
    needs_systemd()?;
    let status = Command::new("systemctl").args(words).status();
    let status = status.context("cannot run systemctl")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(exit::FAILED)))
}

fn needs_systemd() -> anyhow::Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        bail!(
            "systemd does not run here: have your service manager start \"watermarkd run -c FILE\", \
             stop it with SIGTERM and reload it with SIGHUP"
        );
    }
    Ok(())
}

impl Manner {
    fn needs_systemd_and_rights(self, verb: &str) -> anyhow::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        needs_systemd()?;
        let is_root = rustix::process::geteuid().is_root();
        if !self.user && !is_root {
            bail!(
                "only root can do that for the machine: sudo watermarkd service {verb}, or \
                 watermarkd service {verb} --user for a service of your own"
            );
        }
        Ok(())
    }

    /// Does the steps, or prints them.
    fn perform(self, steps: &[Step]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for step in steps {
            let text = step.to_string();
            if self.dry_run {
                writeln!(out, "{text}")?;
                continue;
            }
            let told = match step {
                Step::Write { file, .. } => format!("write {}", quoted(file)),
                _ => text,
            };
            line(&mut out, format_args!("{told}"))?;
            step.perform()?;
        }
        Ok(())
    }

    fn scope(self) -> Scope {
        if self.user {
            return Scope::User;
        }
        let has = |program: &str| {
            let mut places = env::split_paths("/usr/bin:/usr/sbin:/bin:/sbin");
            places.any(|place| place.join(program).exists())
        };
        let user = if succeeds("id", &["-u", USER]) {
            Account::Exists
        } else if has("systemd-sysusers") {
            Account::BySysusers
        } else {
            Account::ByUseradd
        };
        let unit = ["/usr/lib/systemd/system", "/lib/systemd/system"];
        let packaged = unit
            .iter()
            .any(|place| Path::new(place).join("watermarkd.service").exists());
        Scope::System { user, packaged }
    }

    fn units(self) -> anyhow::Result<PathBuf> {
        if !self.user {
            return Ok(SYSTEM_UNITS.into());
        }
        let dirs = directories::BaseDirs::new().context("this user has no home")?;
        Ok(dirs.config_dir().join("systemd/user"))
    }

    /// Where an installation puts the program.
    fn lasting_program(self) -> Option<PathBuf> {
        if self.user {
            let home = UserDirs::new()?.home_dir().to_owned();
            return Some(home.join(".local/bin/watermarkd"));
        }
        Some(SYSTEM_PROGRAM.into())
    }

    /// The configuration that the service finds without being told, and the folders of a new one.
    fn standard(self) -> anyhow::Result<(PathBuf, PathBuf)> {
        if !self.user {
            return Ok((SYSTEM_CONFIG.into(), "/srv/watermarkd".into()));
        }
        let dirs = ProjectDirs::from("", "", "watermarkd").zip(UserDirs::new());
        let (project, user) = dirs.context("this user has no home")?;
        let pictures = match user.picture_dir() {
            Some(pictures) => pictures.to_owned(),
            None => user.home_dir().join("Pictures"),
        };
        let config = project.config_dir().join("config.yaml");
        Ok((config, pictures.join("watermarkd")))
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let told = Command::new(program).args(arguments).output();
    told.is_ok_and(|told| told.status.success())
}

/// Of the systemd that is installed; none is as old as can be.
fn version() -> u32 {
    let told = Command::new("systemctl").arg("--version").output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    let number = told.as_deref().ok().and_then(|told| {
        let digits = told.split_whitespace().nth(1)?;
        digits.split(['.', '~', '-']).next()?.parse().ok()
    });
    number.unwrap_or(0)
}

fn look(config: Option<&Path>, manner: Manner) -> anyhow::Result<Found> {
    let (standard, home) = manner.standard()?;
    let by_environment = env::var_os("WATERMARKD_CONFIG").filter(|named| !named.is_empty());
    let config = config.or(by_environment.as_deref().map(Path::new));
    let file = match config {
        Some(named) => std::path::absolute(named)?,
        None => standard.clone(),
    };
    let is_standard = file == standard;
    let is_new = config.is_none() && !file.exists();
    let (mut places, new) = if is_new {
        let (input, output) = (home.join("in"), home.join("out"));
        let places = vec![place(&input, false), place(&output, true)];
        (places, Some((input, output)))
    } else {
        let config = config::load(&file)?;
        if !manner.user && !is_standard {
            refuse_default_ledger(&config)?;
        }
        (places_of(&config), None)
    };
    let missing = places.iter().filter(|place| !place.path.exists());
    let missing = missing.map(|place| place.path.clone()).collect();
    if !is_standard && let Some(folder) = file.parent() {
        places.push(place(folder, false));
    }
    let program = env::current_exe().context("cannot find this program")?;
    let lasting = manner.lasting_program().filter(|lasting| {
        let stays = LASTING.iter().any(|folder| program.starts_with(folder));
        !stays && *lasting != program
    });
    Ok(Found {
        scope: manner.scope(),
        version: version(),
        program,
        lasting,
        units: manner.units()?,
        config: file,
        is_standard,
        new,
        places,
        missing,
    })
}

/// A shell's commands would look for the ledger elsewhere than where systemd has it.
fn refuse_default_ledger(config: &Config) -> anyhow::Result<()> {
    let file = config.file.display();
    if config.home.ledger.as_ref() == Some(&config.ledger) {
        bail!(
            "{file} is not in /etc/watermarkd, so `watermarkd status` would not find the ledger of \
             the service: copy it there, with its marks, or set `ledger` in it"
        );
    }
    Ok(())
}

fn places_of(config: &Config) -> Vec<Place> {
    let mut places = Vec::new();
    for folder in &config.folders {
        let leaves = folder.after != Source::Keep || folder.on_failure != Source::Keep;
        places.push(place(&folder.input, leaves));
        places.push(place(&folder.output, true));
        places.extend(folder.moved_to().map(|path| place(path, true)));
    }
    places
}

fn place(path: &Path, written: bool) -> Place {
    let nearest = path.ancestors().find(|path| path.is_dir());
    let nearest = nearest.unwrap_or(Path::new("/"));
    let group = fs::metadata(path).ok().filter(|found| {
        let wanted = if written { 0o070 } else { 0o050 };
        let others = wanted >> 3;
        found.gid() != 0 && found.mode() & wanted == wanted && found.mode() & others != others
    });
    Place {
        path: path.to_owned(),
        written,
        mount: os::mount_point(nearest).unwrap_or_else(|_| "/".into()),
        group: group.map(|found| found.gid()),
    }
}

/// What to do next.
fn tell(found: &Found) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let file = found.config.display();
    line(
        &mut out,
        format_args!("the service runs, configured by {file}"),
    )?;
    if let Some((input, results)) = &found.new {
        let (input, results) = (input.display(), results.display());
        let text = format_args!("drop pictures into {input}, the results come to {results}");
        line(&mut out, text)?;
    }
    let rights = if found.scope == Scope::User {
        "to let it run while you are not logged in: loginctl enable-linger".to_owned()
    } else {
        format!("to let NAME drop pictures: usermod -aG {USER} NAME (counts from the next login)")
    };
    line(&mut out, format_args!("{rights}"))?;
    let again = "after a change of the folders in the configuration, run this command again";
    line(&mut out, format_args!("{again}"))?;
    Ok(())
}
