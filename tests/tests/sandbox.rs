//! A temporary home with a drop folder and a daemon, which is killed when the test ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};
#[cfg(unix)]
use std::{
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicUsize, Ordering},
};

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The start of every configuration: small pictures, short waits, everything inside the sandbox.
pub const COMMON: &str = "\
settle: 300ms
settle_closed: 30ms
workers: 2
ledger: state/ledger.sqlite
log: {dir: log, console: true, level: debug}
";
const WATERMARK: &str = "watermark: {npy_path: mark.npy, output_height: 48, quality: 80}\n";
pub const FOLDERS: &str = "folders: [{input: in, output: out}]\n";

const PATIENCE: Duration = Duration::from_secs(20);
#[cfg(windows)]
const NEW_PROCESS_GROUP: u32 = 0x200;

pub struct Sandbox {
    home: TempDir,
    daemon: Option<Child>,
    /// Bytes of the log that were written before the running daemon was started.
    logged_before: usize,
}

impl Sandbox {
    /// With folders `in` and `out`, a mark, and a configuration of one folder.
    pub fn new() -> Sandbox {
        Sandbox::with(FOLDERS)
    }

    /// With other folders than usual, or more keys.
    pub fn with(config: &str) -> Sandbox {
        let home = tempfile::tempdir().unwrap();
        for folder in ["in", "out"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        watermarkd::mark::save(&watermarkd::mark::sample(), &home.path().join("mark.npy")).unwrap();
        let sandbox = Sandbox {
            home,
            daemon: None,
            logged_before: 0,
        };
        sandbox.configure(config);
        sandbox
    }

    pub fn configure(&self, config: &str) {
        self.write(
            "config.yaml",
            format!("{COMMON}{WATERMARK}{config}").as_bytes(),
        );
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file in place, as `cp` does.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// As if nobody had touched a file for so long that nobody will.
    pub fn leave_alone(&self, name: &str) {
        let file = fs::File::options().write(true).open(self.path(name));
        let long_ago = SystemTime::now() - Duration::from_secs(120);
        file.unwrap().set_modified(long_ago).unwrap();
    }

    /// Writes a file beside the folder and renames it in, as `rsync` does.
    pub fn rename_in(&self, name: &str, bytes: &[u8]) {
        self.write("beside", bytes);
        fs::rename(self.path("beside"), self.path(name)).unwrap();
    }

    #[cfg(unix)]
    pub fn fifo(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.path(name)).status();
        assert!(made.unwrap().success());
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watermarkd"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_remove("WATERMARKD_CONFIG")
            .env("WATERMARKD_CONFIG", self.path("config.yaml"))
            .env("XDG_STATE_HOME", self.path("state-home"))
            .stdin(Stdio::null());
        command
    }

    pub fn once(&self) -> Output {
        self.command(&["run", "--once"]).output().unwrap()
    }

    /// Runs once under strace with such expressions, and returns the trace, with the paths of open
    /// files; None where no process may be traced.
    #[cfg(target_os = "linux")]
    pub fn once_traced(&self, expressions: &[&str]) -> Option<String> {
        let run = self.command(&["run", "--once"]);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-y", "-o", "trace"]);
        strace.args(expressions.iter().flat_map(|expression| ["-e", expression]));
        strace.arg(run.get_program()).args(run.get_args());
        strace.current_dir(self.path("."));
        strace.envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let Ok(output) = strace.stdin(Stdio::null()).output() else {
            skip("strace is missing");
            return None;
        };
        let trace = fs::read_to_string(self.path("trace")).unwrap_or_default();
        if trace.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("PTRACE") || said.contains("ptrace"), "{said}");
            skip("no process may be traced here");
            return None;
        }
        Some(trace)
    }

    /// Runs once, killed by the first system call of a kind, before it has done anything; false
    /// where no process may be traced.
    #[cfg(target_os = "linux")]
    pub fn once_killed_at(&self, calls: &str) -> bool {
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:signal=SIGKILL:when=1");
        let Some(trace) = self.once_traced(&[&trace, &inject]) else {
            return false;
        };
        assert!(trace.contains("killed by SIGKILL"), "{trace}");
        true
    }

    /// Runs once, killed by the given one of some system calls, before that has done anything.
    /// Returns whether there were so many; None where no process may be traced.
    #[cfg(target_os = "linux")]
    pub fn once_killed_at_number(&self, calls: &str, number: u32) -> Option<bool> {
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:signal=SIGKILL:when={number}");
        let trace = self.once_traced(&[&trace, &inject])?;
        Some(trace.contains("killed by SIGKILL"))
    }

    /// Runs once and asserts the exit code and the numbers of done and failed pictures.
    pub fn once_expecting(&self, done: usize, failed: usize) {
        let output = self.once();
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        let counts = format!("{done} pictures, {failed} failed");
        assert!(
            table.starts_with(&counts),
            "wanted {counts}\n{table}{}",
            self.tail()
        );
        assert_eq!(
            output.status.code(),
            Some(i32::from(failed > 0)),
            "{}",
            self.tail()
        );
    }

    /// Starts the daemon and waits until it watches.
    pub fn start(&mut self) {
        self.start_without_waiting();
        self.wait_for("ready", |sandbox| sandbox.new_log().contains(" ready "));
    }

    /// Starts the daemon with more arguments and waits until it watches.
    #[cfg(unix)]
    pub fn start_with(&mut self, arguments: &[&str]) {
        let command = self.command(&[&["run"], arguments].concat());
        self.spawn(command);
        self.wait_for("ready", |sandbox| sandbox.new_log().contains(" ready "));
    }

    /// Starts the daemon with so many KiB of address space, and does not wait.
    #[cfg(unix)]
    pub fn start_limited(&mut self, limit: u64) {
        let mut shell = self.in_shell(&format!("ulimit -c 0; ulimit -v {limit}"));
        // Each thread would reserve address space of its own.
        shell.env("MALLOC_ARENA_MAX", "1");
        self.spawn(shell);
    }

    /// Starts the daemon under a umask and waits until it watches.
    #[cfg(unix)]
    pub fn start_under(&mut self, umask: &str) {
        let shell = self.in_shell(&format!("umask {umask}"));
        self.spawn(shell);
        self.wait_for("ready", |sandbox| sandbox.new_log().contains(" ready "));
    }

    /// A shell that becomes the daemon after what it sets.
    #[cfg(unix)]
    fn in_shell(&self, first: &str) -> Command {
        let command = self.command(&[]);
        let mut shell = Command::new("sh");
        let run = format!("{first}; exec \"$0\" run");
        shell.args(["-c", &run]).arg(command.get_program());
        shell.current_dir(self.home.path());
        shell.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        shell
    }

    /// Starts a single run, and does not wait.
    #[cfg(unix)]
    pub fn start_once(&mut self) {
        let mut command = self.command(&["run", "--once"]);
        command.stdout(fs::File::create(self.path("report")).unwrap());
        self.spawn(command);
    }

    pub fn start_without_waiting(&mut self) {
        let command = self.command(&["run"]);
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        // What asks it to stop must not reach the tests.
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, NEW_PROCESS_GROUP);
        assert!(self.daemon.is_none(), "already started");
        self.logged_before = self.log().len();
        let error = fs::File::create(self.path("console")).unwrap();
        let child = command.stdin(Stdio::null()).stderr(error).spawn().unwrap();
        self.daemon = Some(child);
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("started").id()
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Sends SIGTERM or Ctrl-Break and waits for the end, which must be a clean one.
    pub fn stop(&mut self) {
        #[cfg(unix)]
        self.signal(Signal::TERM);
        #[cfg(windows)]
        if !super::windows::send_break(self.pid()) {
            return self.kill();
        }
        let status = self.wait_for_end();
        assert_eq!(status.code(), Some(0), "{}", self.tail());
    }

    /// Ends the daemon as a crash would.
    pub fn kill(&mut self) {
        self.daemon.as_mut().expect("started").kill().unwrap();
        let status = self.wait_for_end();
        #[cfg(unix)]
        assert_eq!(status.signal(), Some(9), "{status}\n{}", self.tail());
        #[cfg(windows)]
        assert_eq!(status.code(), Some(1));
    }

    /// Leaves the daemon to the caller, so that another one can be started.
    #[cfg(unix)]
    pub fn let_go(&mut self) -> Child {
        self.daemon.take().expect("started")
    }

    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut child = self.daemon.take().expect("started");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("the daemon does not end\n{}", self.tail());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a condition holds, looking often.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Sandbox) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for: {what}\n{}",
                self.tail()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for an output and returns its bytes, which must be a whole picture at first sight.
    pub fn wait_for_picture(&self, name: &str) -> Vec<u8> {
        self.wait_for(name, |sandbox| sandbox.path(name).exists());
        let bytes = fs::read(self.path(name)).unwrap();
        super::pictures::size(&bytes);
        bytes
    }

    /// Waits until a line with all the given parts is in the log.
    pub fn wait_for_line(&self, parts: &[&str]) {
        self.wait_for(&format!("a log line with {parts:?}"), |sandbox| {
            sandbox
                .new_log()
                .lines()
                .any(|line| parts.iter().all(|part| line.contains(part)))
        });
    }

    /// Lines of the running or last daemon that contain `part`.
    pub fn lines(&self, part: &str) -> Vec<String> {
        self.new_log()
            .lines()
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    }

    pub fn log(&self) -> String {
        let Ok(files) = fs::read_dir(self.path("log")) else {
            return String::new();
        };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect()
    }

    fn new_log(&self) -> String {
        self.log().split_off(self.logged_before)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What a failed test shows.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let console = fs::read_to_string(self.path("console")).unwrap_or_default();
        let console = if log.is_empty() { console.as_str() } else { "" };
        format!(
            "{console}{}",
            lines[lines.len().saturating_sub(40)..].join("\n")
        )
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Says that a test cannot do here what it is for. In CI that is a failure: a test that nobody runs
/// proves nothing. The line is not captured, as the output of a test that passes would be.
#[cfg(unix)]
pub fn skip(why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    assert!(
        env::var_os("CI").is_none_or(|ci| ci != "true"),
        "cannot be tested here: {why}"
    );
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let line = format!("SKIPPED: {why} ({count} so far)\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A small file system of its own, unmounted when the test ends.
#[cfg(unix)]
pub struct Small(PathBuf);

#[cfg(unix)]
impl Small {
    pub fn mount(at: PathBuf, options: &str) -> Option<Small> {
        fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            skip("nothing may be mounted here");
        }
        mounted.then_some(Small(at))
    }
}

#[cfg(unix)]
impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
