//! What an administrator does with the service: its entry in the manager's database, orders, and
//! the rights that its account needs.
//!
//! The service runs as the virtual account `NT SERVICE\watermarkd`, which Windows makes with the
//! service. It has no password and no rights but those of every user and those that are given to
//! it; on the network it is the machine (`DOMAIN\MACHINE$`).

use std::{
    env,
    path::{Component, Path, PathBuf, Prefix},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use windows_service::{
    service::{
        Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl,
        ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
        ServiceStartType, ServiceState, ServiceStatus, ServiceType,
    },
    service_manager::{ServiceManager, ServiceManagerAccess},
};
use windows_sys::Win32::{
    Foundation::{ERROR_ACCESS_DENIED, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_EXISTS},
    System::Services::{ControlService, SERVICE_CONTROL_PARAMCHANGE, SERVICE_STATUS},
};

use super::entry::{GRACE, NAME, START_AT_MOST};
use crate::{config::Config, signal::STOP_AT_MOST};

/// Restarts after a crash: soon, then at a pace that nobody minds for days.
const RESTART_AFTER: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];
const FORGET_CRASHES_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The manager offers nothing simpler to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the manager knows of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Missing,
    /// With the exit code of its last run; none if it was never started.
    Stopped(Option<u32>),
    /// Between two of the others.
    Pending,
    Running {
        pid: u32,
    },
}

/// The account that the service runs as.
pub fn account() -> String {
    format!("NT SERVICE\\{NAME}")
}

/// Makes the entry. Returns what could not be set, without which the service works all the same.
pub fn install(config: &Path) -> anyhow::Result<Vec<String>> {
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let entry = ServiceInfo {
        name: NAME.into(),
        display_name: "watermarkd".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: env::current_exe().context("cannot find this program")?,
        launch_arguments: vec![
            "service".into(),
            "run".into(),
            "--config".into(),
            config.into(),
        ],
        dependencies: Vec::new(),
        account_name: Some(account().into()),
        account_password: None,
    };
    let service = manager(access)?
        .create_service(
            &entry,
            // The last one is what a restart as recovery action asks for.
            ServiceAccess::CHANGE_CONFIG | ServiceAccess::START,
        )
        .map_err(explain)
        .context("cannot install the service")?;
    let description = "Scales and watermarks the pictures dropped into its folders";
    let restart = |delay| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay,
    };
    let recovery = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET_CRASHES_AFTER),
        reboot_msg: None,
        command: None,
        actions: Some(RESTART_AFTER.map(restart).to_vec()),
    };
    let set = [
        ("description", service.set_description(description)),
        ("delayed start", service.set_delayed_auto_start(true)),
        ("restart", service.update_failure_actions(recovery)),
        (
            "time before a shutdown",
            service.set_preshutdown_timeout(STOP_AT_MOST + GRACE),
        ),
    ];
    let unset = |(what, set): (&str, windows_service::Result<()>)| {
        let cause = explain(set.err()?);
        Some(format!("cannot set its {what}: {cause:#}"))
    };
    Ok(set.into_iter().filter_map(unset).collect())
}

/// Stops the service and removes its entry.
pub fn uninstall() -> anyhow::Result<()> {
    let service = open(ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE)?;
    end(&service)?;
    service
        .delete()
        .map_err(explain)
        .context("cannot uninstall the service")
}

/// Starts the service and waits until it watches its folders.
pub fn start() -> anyhow::Result<()> {
    let service = open(ServiceAccess::QUERY_STATUS | ServiceAccess::START)?;
    service
        .start::<&str>(&[])
        .map_err(explain)
        .context("cannot start the service")?;
    match wait(&service, ServiceState::StartPending, START_AT_MOST)?.current_state {
        ServiceState::Running => Ok(()),
        _ => bail!("the service ended at once, its log tells why"),
    }
}

/// Stops the service and waits for its end.
pub fn stop() -> anyhow::Result<()> {
    end(&open(ServiceAccess::QUERY_STATUS | ServiceAccess::STOP)?)
}

/// Has the service read its configuration again; its log tells the outcome.
#[expect(
    unsafe_code,
    reason = "windows-service sends only the orders that every service takes"
)]
pub fn reload() -> anyhow::Result<()> {
    let service = open(ServiceAccess::PAUSE_CONTINUE)?;
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open while `service` lives, and `status` is only written to.
    let sent = unsafe {
        ControlService(
            service.raw_handle(),
            SERVICE_CONTROL_PARAMCHANGE,
            &raw mut status,
        )
    };
    if sent == 0 {
        let cause = std::io::Error::last_os_error();
        return Err(explain(windows_service::Error::Winapi(cause)))
            .context("cannot reload the service");
    }
    Ok(())
}

pub fn state() -> anyhow::Result<State> {
    let opened =
        manager(ServiceManagerAccess::CONNECT)?.open_service(NAME, ServiceAccess::QUERY_STATUS);
    let service = match opened {
        Ok(service) => service,
        Err(cause) if is(&cause, ERROR_SERVICE_DOES_NOT_EXIST) => return Ok(State::Missing),
        Err(cause) => return Err(explain(cause)),
    };
    let status = query(&service)?;
    Ok(match (status.current_state, status.process_id) {
        (ServiceState::Stopped, _) => State::Stopped(match status.exit_code {
            ServiceExitCode::NO_ERROR => Some(0),
            ServiceExitCode::ServiceSpecific(code) => Some(code),
            // 1077, never started, or a failure of the manager's own.
            ServiceExitCode::Win32(_) => None,
        }),
        (ServiceState::Running, Some(pid)) => State::Running { pid },
        _ => State::Pending,
    })
}

/// The commands that give the account its rights: to change what it writes to, to read the rest.
/// Of shares it is told what to do, since on a server the account is another one.
pub fn grants(config: &Config) -> Vec<String> {
    let mut changed: Vec<PathBuf> = config
        .folders
        .iter()
        .flat_map(|folder| {
            folder
                .moved_to()
                .map(Path::to_owned)
                .chain([folder.output.clone()])
        })
        .collect();
    changed.push(config.log.dir.clone());
    changed.extend(config.ledger.parent().map(Path::to_owned));
    let leaves = |folder: &&crate::config::Folder| {
        use crate::config::Source::Keep;
        folder.after != Keep || folder.on_failure != Keep
    };
    changed.extend(
        config
            .folders
            .iter()
            .filter(leaves)
            .map(|folder| folder.input.clone()),
    );
    let read = config.folders.iter().map(|folder| folder.input.clone());
    let mut read: Vec<PathBuf> = read
        .chain(config.file.parent().map(Path::to_owned))
        .collect();
    for paths in [&mut changed, &mut read] {
        paths.sort();
        paths.dedup();
    }
    read.retain(|path| !changed.contains(path));
    let grant = |path: &PathBuf, right: &str| {
        if is_on_share(path) {
            let what = if right == "M" { "change" } else { "read" };
            return format!(
                "on the server of {}: to {what} it, for the account of this machine",
                path.display()
            );
        }
        let account = account();
        format!(
            "icacls \"{}\" /grant \"{account}:(OI)(CI){right}\"",
            path.display()
        )
    };
    let changed = changed.iter().map(|path| grant(path, "M"));
    changed
        .chain(read.iter().map(|path| grant(path, "RX")))
        .collect()
}

fn is_on_share(path: &Path) -> bool {
    matches!(
        path.components().next(),
        Some(Component::Prefix(prefix))
            if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    )
}

fn end(service: &Service) -> anyhow::Result<()> {
    if query(service)?.current_state == ServiceState::Stopped {
        return Ok(());
    }
    service
        .stop()
        .map_err(explain)
        .context("cannot stop the service")?;
    match wait(service, ServiceState::StopPending, STOP_AT_MOST + GRACE)?.current_state {
        ServiceState::Stopped => Ok(()),
        state => bail!("the service does not end, it is {state:?}"),
    }
}

/// Waits while the service is `pending`, for a little longer than it promised to take.
fn wait(
    service: &Service,
    pending: ServiceState,
    at_most: Duration,
) -> anyhow::Result<ServiceStatus> {
    let deadline = Instant::now() + at_most + GRACE;
    loop {
        let status = query(service)?;
        if status.current_state != pending || Instant::now() > deadline {
            return Ok(status);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn query(service: &Service) -> anyhow::Result<ServiceStatus> {
    service
        .query_status()
        .map_err(explain)
        .context("cannot ask for the state of the service")
}

fn open(access: ServiceAccess) -> anyhow::Result<Service> {
    manager(ServiceManagerAccess::CONNECT)?
        .open_service(NAME, access)
        .map_err(explain)
}

fn manager(access: ServiceManagerAccess) -> anyhow::Result<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, access)
        .map_err(explain)
        .context("cannot reach the service manager")
}

fn is(cause: &windows_service::Error, code: u32) -> bool {
    let windows_service::Error::Winapi(cause) = cause else {
        return false;
    };
    cause.raw_os_error() == i32::try_from(code).ok()
}

/// The cause as the system words it, or what to do about it.
fn explain(cause: windows_service::Error) -> anyhow::Error {
    if is(&cause, ERROR_ACCESS_DENIED) {
        return anyhow!("access denied: run this as administrator");
    }
    if is(&cause, ERROR_SERVICE_DOES_NOT_EXIST) {
        return anyhow!("the service is not installed");
    }
    if is(&cause, ERROR_SERVICE_EXISTS) {
        return anyhow!("it is installed already");
    }
    match cause {
        windows_service::Error::Winapi(cause) => cause.into(),
        other => other.into(),
    }
}
