//! The Windows service: what the service control manager asks becomes a [`Signal`], how far the
//! daemon is becomes a status.
//!
//! The manager believes a service that reports in time. `START_PENDING` and `STOP_PENDING` carry how
//! long the step may take, which the daemon keeps to by itself, so nothing ticks meanwhile. The
//! order to stop is answered with `STOP_PENDING` before its handler returns: from then on the manager
//! sends nothing more.
//!
//! How the process ends tells the manager what to do. STOPPED is never followed by a restart, so a
//! bad configuration ends with it, and 78 as the service's own error code. A failure that another
//! try may mend ends the process without STOPPED, which counts as a crash and brings the recovery
//! actions, as a panic does.

mod control;
mod entry;

use std::{
    ffi::OsString,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Sender, bounded};
use tracing::warn;
use windows_service::{
    define_windows_service,
    service::{
        ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus,
        ServiceType,
    },
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
};

pub use self::control::{State, account, grants, install, reload, start, state, stop, uninstall};
use self::entry::{GRACE, NAME, START_AT_MOST};
use crate::{
    exit,
    signal::{self, Listening, STOP_AT_MOST, Signal},
};

/// `sc control watermarkd 128`: write the report now.
const REPORT: u32 = 128;
/// The dispatcher's answer to a process that the manager did not start.
const NOT_A_SERVICE: i32 = 1063;

/// The daemon: runs until the order to stop, and returns the exit code.
type Body = Box<dyn FnOnce(Listening) -> u8 + Send>;

/// The manager calls a plain function, which finds here what to run.
static BODY: Mutex<Option<Body>> = Mutex::new(None);
static LINE: OnceLock<Line> = OnceLock::new();

/// The line to the manager.
struct Line {
    handle: ServiceStatusHandle,
    orders: Sender<Signal>,
    /// Whether the order to stop has come; a status must not go back behind it.
    stopping: Mutex<bool>,
}

/// Runs `body` as the service. Returns when it has ended.
pub fn run(body: impl FnOnce(Listening) -> u8 + Send + 'static) -> anyhow::Result<()> {
    *BODY.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(body));
    service_dispatcher::start(NAME, enter).map_err(|cause| match cause {
        windows_service::Error::Winapi(cause) if cause.raw_os_error() == Some(NOT_A_SERVICE) => {
            anyhow!("only the service manager can start this: use \"watermarkd service start\"")
        }
        cause => anyhow!(cause).context("cannot reach the service manager"),
    })
}

define_windows_service!(enter, serve);

fn serve(_arguments: Vec<OsString>) {
    let body = BODY.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(body), Ok(orders)) = (body, register()) else {
        // Without a line nobody can be told.
        return;
    };
    // The log shall name the thread; one that panics, or does not start, is a failure as any other.
    let main = thread::Builder::new().name("main".to_owned());
    let code = main
        .spawn(move || body(orders))
        .ok()
        .and_then(|main| main.join().ok())
        .unwrap_or(exit::FAILED);
    let stopping = LINE.get().is_some_and(|line| *line.lock());
    // What another try cannot change, or nobody wants another try of.
    if code == exit::FINE || code == exit::BAD_CONFIG || stopping {
        stopped(code);
    } else {
        end(code);
    }
}

/// Says the last word to the manager.
fn stopped(code: u8) {
    let code = match code {
        exit::FINE => ServiceExitCode::NO_ERROR,
        code => ServiceExitCode::ServiceSpecific(code.into()),
    };
    if let Some(line) = LINE.get() {
        line.tell(ServiceState::Stopped, code, 0, Duration::ZERO);
    }
}

/// Ends the process as a crash does.
#[expect(clippy::exit, reason = "the manager restarts what ends without a word")]
fn end(code: u8) {
    std::process::exit(code.into());
}

fn register() -> anyhow::Result<Listening> {
    let (orders, listening) = bounded(signal::WAITING);
    let handle = service_control_handler::register(NAME, heed).context("cannot register")?;
    let line = LINE.get_or_init(|| Line {
        handle,
        orders,
        stopping: Mutex::new(false),
    });
    line.tell(
        ServiceState::StartPending,
        ServiceExitCode::NO_ERROR,
        1,
        START_AT_MOST,
    );
    Ok(listening)
}

/// What the manager asks. It captures nothing, so that no call can come after its release.
fn heed(control: ServiceControl) -> ServiceControlHandlerResult {
    let Some(line) = LINE.get() else {
        return ServiceControlHandlerResult::NotImplemented;
    };
    let order = match control {
        ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
        ServiceControl::Stop | ServiceControl::Preshutdown | ServiceControl::Shutdown => {
            *line.lock() = true;
            line.tell(
                ServiceState::StopPending,
                ServiceExitCode::NO_ERROR,
                1,
                STOP_AT_MOST + GRACE,
            );
            signal::end_at_the_latest(STOP_AT_MOST + GRACE, || stopped(exit::FAILED));
            Signal::Stop
        }
        ServiceControl::ParamChange => Signal::Reload,
        ServiceControl::UserEvent(code) if code.to_raw() == REPORT => Signal::Report,
        _ => return ServiceControlHandlerResult::NotImplemented,
    };
    match line.orders.try_send(order) {
        // With a full channel the main thread hangs, and hears of nothing but its end; without a
        // receiver the process is ending.
        Ok(()) | Err(_) => ServiceControlHandlerResult::NoError,
    }
}

/// The configuration stands, next is the ledger.
pub fn configured() {
    if let Some(line) = LINE.get() {
        line.unless_stopping(ServiceState::StartPending, 2, START_AT_MOST);
    }
}

/// The folders are watched.
pub fn ready() {
    if let Some(line) = LINE.get() {
        line.unless_stopping(ServiceState::Running, 0, Duration::ZERO);
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unless_stopping(&self, state: ServiceState, checkpoint: u32, wait: Duration) {
        let stopping = self.lock();
        if !*stopping {
            self.tell(state, ServiceExitCode::NO_ERROR, checkpoint, wait);
        }
    }

    fn tell(&self, state: ServiceState, code: ServiceExitCode, checkpoint: u32, wait: Duration) {
        let accepted = match state {
            // A service that hears of the shutdown beforehand does not hear of it again.
            ServiceState::Running => {
                ServiceControlAccept::STOP
                    | ServiceControlAccept::PRESHUTDOWN
                    | ServiceControlAccept::PARAM_CHANGE
            }
            // A start that hangs on a share must be stoppable too.
            ServiceState::StartPending => ServiceControlAccept::STOP,
            _ => ServiceControlAccept::empty(),
        };
        let told = self.handle.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: code,
            checkpoint,
            wait_hint: wait,
            process_id: None,
        });
        if let Err(cause) = told {
            warn!(cause = %cause, "the service manager was not told of {state:?}");
        }
    }
}
