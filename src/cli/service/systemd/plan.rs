//! What an installation takes, decided from what was found on the machine. It touches nothing.

use std::path::{Path, PathBuf};

use super::{
    dropin::{self, Place, word},
    step::{Step, USER},
};

const UNIT: &str = include_str!("../../../../packaging/systemd/watermarkd.service");
const OLD_UNIT: &str = include_str!("../../../../packaging/systemd/watermarkd-legacy.service");
const USER_UNIT: &str = include_str!("../../../../packaging/systemd/watermarkd-user.service");
const SYSUSERS: &str = include_str!("../../../../packaging/systemd/watermarkd.sysusers.conf");
const SYSUSERS_FILE: &str = "/etc/sysusers.d/watermarkd.conf";
/// What the units start.
const UNIT_PROGRAM: &str = "/usr/bin/watermarkd";
/// `Type=notify-reload` is there from this version of systemd on.
const NOTIFY_RELOAD: u32 = 253;
/// In the folder `watermarkd.service.d` beside the unit.
pub const DROP_IN: &str = "folders-of-config.conf";

/// For whom the service is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// For the machine. It has a user of its own.
    System { user: Account, packaged: bool },
    /// For who installs it.
    User,
}

/// How the user of the service comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    Exists,
    BySysusers,
    ByUseradd,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    pub scope: Scope,
    /// The version of systemd.
    pub version: u32,
    /// The program that runs.
    pub program: PathBuf,
    /// Where it is to be, if it lies in a folder that does not last, such as a build's.
    pub lasting: Option<PathBuf>,
    /// Where this scope has its units.
    pub units: PathBuf,
    pub config: PathBuf,
    /// Whether the configuration is the one that is found without being named.
    pub is_standard: bool,
    /// The configuration is still to be made, with these two folders.
    pub new: Option<(PathBuf, PathBuf)>,
    pub places: Vec<Place>,
    /// The folders among them that are missing.
    pub missing: Vec<PathBuf>,
}

impl Found {
    fn installed(&self) -> &Path {
        self.lasting.as_deref().unwrap_or(&self.program)
    }

    fn is_for_system(&self) -> bool {
        matches!(self.scope, Scope::System { .. })
    }

    fn systemctl(&self, words: &[&str]) -> Step {
        let scope: &[&str] = if self.is_for_system() {
            &[]
        } else {
            &["--user"]
        };
        Step::run(&[&["systemctl"], scope, words].concat())
    }
}

/// The steps of an installation, which may be repeated.
pub fn install(found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(to) = &found.lasting {
        let (from, to) = (found.program.clone(), to.clone());
        steps.push(Step::Program { from, to });
    }
    if let Scope::System { user, .. } = found.scope {
        steps.extend(account(user));
    }
    let of_service = found.is_for_system();
    let missing = found.missing.iter().cloned();
    steps.extend(missing.map(|path| Step::Folder { path, of_service }));
    let program = found.installed().as_os_str();
    if let Some((input, output)) = &found.new {
        let directory = found.config.parent().unwrap_or(Path::new("/"));
        steps.push(Step::Run(vec![
            program.to_owned(),
            "init".into(),
            directory.into(),
            "--input".into(),
            input.into(),
            "--output".into(),
            output.into(),
        ]));
    }
    steps.push(check(found));
    steps.extend(units(found));
    steps.push(found.systemctl(&["daemon-reload"]));
    steps.push(found.systemctl(&["enable", "watermarkd"]));
    steps.push(found.systemctl(&["restart", "watermarkd"]));
    steps
}

/// Before anything is changed for the service manager: with a mistake, or without a right that the
/// service needs, what runs goes on as it is.
fn check(found: &Found) -> Step {
    let mut words = vec![found.installed().as_os_str().to_owned(), "check".into()];
    if found.is_for_system() && !found.places.iter().any(dropin::is_opened) {
        words.extend(["--user".into(), USER.into()]);
    }
    words.extend(["-c".into(), found.config.as_os_str().to_owned()]);
    Step::Run(words)
}

fn account(user: Account) -> Vec<Step> {
    match user {
        Account::Exists => Vec::new(),
        Account::BySysusers => vec![
            Step::Write {
                file: SYSUSERS_FILE.into(),
                text: SYSUSERS.to_owned(),
            },
            Step::run(&["systemd-sysusers", SYSUSERS_FILE]),
        ],
        Account::ByUseradd => vec![Step::run(&[
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/var/lib/watermarkd",
            "--shell",
            "/usr/sbin/nologin",
            USER,
        ])],
    }
}

/// A path in a command of a unit, where a dollar sign is not itself.
pub fn argument(path: &Path) -> String {
    word("", path).replace('$', "$$")
}

/// The unit, if no package has brought it, and what it needs of this machine.
fn units(found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    let unit = match found.scope {
        Scope::System { packaged: true, .. } => None,
        Scope::System { .. } if found.version >= NOTIFY_RELOAD => Some(UNIT.to_owned()),
        Scope::System { .. } => Some(OLD_UNIT.to_owned()),
        Scope::User if found.version >= NOTIFY_RELOAD => Some(USER_UNIT.to_owned()),
        Scope::User => Some(USER_UNIT.replace(
            "\nType=notify-reload\n",
            "\nType=notify\nExecReload=/bin/kill -HUP $MAINPID\n",
        )),
    };
    if let Some(text) = unit {
        let file = found.units.join("watermarkd.service");
        steps.push(Step::Write { file, text });
    }
    let mut start = argument(found.installed()) + " run";
    if !found.is_standard {
        start = format!("{start} -c {}", argument(&found.config));
    }
    let start = (start != format!("{UNIT_PROGRAM} run")).then_some(start);
    // A user's own service sees what its user sees.
    let text = if found.is_for_system() {
        dropin::text(
            &found.config,
            &found.places,
            start.as_deref(),
            found.version,
        )
    } else if let Some(start) = start {
        format!("[Service]\nExecStart=\nExecStart={start}\n")
    } else {
        return steps;
    };
    let file = found.units.join("watermarkd.service.d").join(DROP_IN);
    steps.push(Step::Write { file, text });
    steps
}

/// The steps that undo it. Configuration, ledger, log, pictures and the user, to whom they belong,
/// stay. `program` is the one that the installation has copied, if it is still there.
pub fn uninstall(scope: &Scope, units: &Path, program: Option<PathBuf>) -> Vec<Step> {
    let for_user: &[&str] = match scope {
        Scope::User => &["--user"],
        Scope::System { .. } => &[],
    };
    let systemctl = |words: &[&str]| Step::run(&[&["systemctl"], for_user, words].concat());
    let folder = units.join("watermarkd.service.d");
    let mut steps = vec![systemctl(&["disable", "--now", "watermarkd"])];
    let mut files = vec![folder.join(DROP_IN), folder];
    if *scope
        != (Scope::System {
            user: Account::Exists,
            packaged: true,
        })
    {
        files.push(units.join("watermarkd.service"));
    }
    if matches!(scope, Scope::System { .. }) {
        files.push(SYSUSERS_FILE.into());
    }
    files.extend(program);
    steps.extend(files.into_iter().map(Step::Remove));
    steps.push(systemctl(&["daemon-reload"]));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(scope: Scope) -> Found {
        Found {
            scope,
            version: 257,
            program: "/root/clone/target/release/watermarkd".into(),
            lasting: Some("/usr/local/bin/watermarkd".into()),
            units: "/etc/systemd/system".into(),
            config: "/etc/watermarkd/config.yaml".into(),
            is_standard: true,
            new: Some(("/srv/watermarkd/in".into(), "/srv/watermarkd/out".into())),
            places: Vec::new(),
            missing: vec!["/srv/watermarkd/in".into(), "/srv/watermarkd/out".into()],
        }
    }

    const SYSTEM: Scope = Scope::System {
        user: Account::BySysusers,
        packaged: false,
    };

    /// The first line of each step, as it is printed.
    fn heads(steps: &[Step]) -> Vec<String> {
        let heads = steps.iter().map(|step| match step {
            Step::Write { file, .. } => format!("write {}", file.display()),
            step => step.to_string(),
        });
        heads.collect()
    }

    #[test]
    fn a_machine_gets_program_user_folders_configuration_and_unit() {
        assert_eq!(
            heads(&install(&found(SYSTEM))),
            [
                "install -D -m 755 /root/clone/target/release/watermarkd /usr/local/bin/watermarkd",
                "write /etc/sysusers.d/watermarkd.conf",
                "systemd-sysusers /etc/sysusers.d/watermarkd.conf",
                "install -d -o watermarkd -g watermarkd -m 2775 /srv/watermarkd/in",
                "install -d -o watermarkd -g watermarkd -m 2775 /srv/watermarkd/out",
                "/usr/local/bin/watermarkd init /etc/watermarkd --input /srv/watermarkd/in \
                 --output /srv/watermarkd/out",
                "/usr/local/bin/watermarkd check --user watermarkd -c /etc/watermarkd/config.yaml",
                "write /etc/systemd/system/watermarkd.service",
                "write /etc/systemd/system/watermarkd.service.d/folders-of-config.conf",
                "systemctl daemon-reload",
                "systemctl enable watermarkd",
                "systemctl restart watermarkd",
            ]
        );
    }

    #[test]
    fn what_is_there_is_left_as_it_is() {
        let mut found = found(Scope::System {
            user: Account::Exists,
            packaged: true,
        });
        found.lasting = None;
        found.program = UNIT_PROGRAM.into();
        found.new = None;
        found.missing.clear();
        assert_eq!(
            heads(&install(&found)),
            [
                "/usr/bin/watermarkd check --user watermarkd -c /etc/watermarkd/config.yaml",
                "write /etc/systemd/system/watermarkd.service.d/folders-of-config.conf",
                "systemctl daemon-reload",
                "systemctl enable watermarkd",
                "systemctl restart watermarkd",
            ]
        );
    }

    #[test]
    fn the_configuration_is_checked_with_the_rights_that_the_service_has_anyway() {
        let place = |path: &str, group| Place {
            path: path.into(),
            written: true,
            mount: "/".into(),
            group,
        };
        for (scope, place, user) in [
            (SYSTEM, place("/srv/out", None), " --user watermarkd"),
            (SYSTEM, place("/srv/out", Some(100)), ""),
            (SYSTEM, place("/home/anna/out", None), ""),
            (Scope::User, place("/home/anna/out", None), ""),
        ] {
            let mut found = found(scope);
            found.places = vec![place];
            let steps = heads(&install(&found));
            let check =
                format!("/usr/local/bin/watermarkd check{user} -c /etc/watermarkd/config.yaml");
            let at = |step: &str| steps.iter().position(|one| one.starts_with(step));
            assert!(
                at(&check).is_some() && at(&check) < at("write /etc/systemd/system/w"),
                "{steps:?}"
            );
        }
    }

    #[test]
    fn the_unit_is_the_one_for_the_systemd_that_runs() {
        let unit = |scope: &Scope, version: u32| {
            let mut found = found(scope.clone());
            found.version = version;
            let steps = install(&found).into_iter();
            let mut units = steps.filter_map(|step| match step {
                Step::Write { file, text } if file.ends_with("watermarkd.service") => Some(text),
                _ => None,
            });
            units.next().unwrap()
        };
        for scope in [SYSTEM, Scope::User] {
            let (new, old) = (unit(&scope, 253), unit(&scope, 252));
            assert!(new.contains("\nType=notify-reload\n") && !new.contains("\nExecReload="));
            assert!(old.contains("\nType=notify\n") && old.contains("\nExecReload="));
            assert!(new.contains("\nExecStart=/usr/bin/watermarkd run\n"));
        }
        assert!(unit(&SYSTEM, 252).contains("\nUser=watermarkd\n"));
        assert!(SYSUSERS.contains("\nu watermarkd "));
    }

    #[test]
    fn the_unit_starts_the_program_that_was_installed() {
        let mut found = found(Scope::User);
        found.config = "/home/anna/my config.yaml".into();
        found.is_standard = false;
        let steps = install(&found);
        let drop_in = steps.iter().find_map(|step| match step {
            Step::Write { file, text } if file.ends_with(DROP_IN) => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(
            drop_in,
            Some(
                "[Service]\nExecStart=\nExecStart=/usr/local/bin/watermarkd run -c \
                 \"/home/anna/my config.yaml\"\n"
            )
        );
        let last = steps.last().map(ToString::to_string);
        assert_eq!(last.as_deref(), Some("systemctl --user restart watermarkd"));
    }

    #[test]
    fn uninstalling_leaves_what_belongs_to_people_and_packages() {
        let units = Path::new("/etc/systemd/system");
        let program = Some(PathBuf::from("/usr/local/bin/watermarkd"));
        assert_eq!(
            heads(&uninstall(&SYSTEM, units, program)),
            [
                "systemctl disable --now watermarkd",
                "rm -df /etc/systemd/system/watermarkd.service.d/folders-of-config.conf",
                "rm -df /etc/systemd/system/watermarkd.service.d",
                "rm -df /etc/systemd/system/watermarkd.service",
                "rm -df /etc/sysusers.d/watermarkd.conf",
                "rm -df /usr/local/bin/watermarkd",
                "systemctl daemon-reload",
            ]
        );
        let packaged = Scope::System {
            user: Account::Exists,
            packaged: true,
        };
        let steps = heads(&uninstall(&packaged, units, None));
        assert!(
            !steps
                .iter()
                .any(|step| step.ends_with("/watermarkd.service"))
        );
    }
}
