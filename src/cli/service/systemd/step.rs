//! What an installation does, step by step. A step that is printed is a command that a shell takes,
//! so that what is shown is what is done.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use rustix::fs::OFlags;

use crate::cli::terminal::quoted;

/// Who a folder is made for: numbers that are known only once the user is.
pub const USER: &str = "watermarkd";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Copies the program, also over one that runs.
    Program { from: PathBuf, to: PathBuf },
    /// Writes a file, unless it has this text already.
    Write { file: PathBuf, text: String },
    /// Makes a folder that is missing. One of the service belongs to its user, and people of its
    /// group may drop files into it; other folders on the way belong to who installs.
    Folder { path: PathBuf, of_service: bool },
    /// Removes a file, or an empty folder, if it is there.
    Remove(PathBuf),
    /// Runs a command, which must succeed.
    Run(Vec<OsString>),
}

impl Step {
    pub fn run(words: &[&str]) -> Step {
        Step::Run(words.iter().map(OsString::from).collect())
    }

    /// Does it. An error says what could not be done.
    pub fn perform(&self) -> anyhow::Result<()> {
        match self {
            Step::Program { from, to } => copy_program(from, to),
            Step::Write { file, text } => write(file, text),
            Step::Folder { path, of_service } => make_folder(path, *of_service),
            Step::Remove(path) => remove(path),
            Step::Run(words) => execute(words),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Program { from, to } => {
                write!(out, "install -D -m 755 {} {}", quoted(from), quoted(to))
            }
            Step::Write { file, text } => {
                let folder = quoted(file.parent().unwrap_or(file));
                let file = quoted(file);
                write!(out, "mkdir -p {folder}\ncat > {file} <<'END'\n{text}END")
            }
            Step::Folder { path, of_service } => {
                let of = if *of_service {
                    format!("-o {USER} -g {USER} -m 2775 ")
                } else {
                    String::new()
                };
                write!(out, "install -d {of}{}", quoted(path))
            }
            Step::Remove(path) => write!(out, "rm -df {}", quoted(path)),
            Step::Run(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(Path::new(word))).collect();
                out.write_str(&words.join(" "))
            }
        }
    }
}

fn copy_program(from: &Path, to: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot install {}", to.display());
    make_parents(to)?;
    // The program may run: its file is replaced, not written to.
    let beside = to.with_extension("new");
    fs::copy(from, &beside).with_context(context)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).with_context(context)?;
    fs::rename(&beside, to).with_context(context)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if fs::read(file).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    let context = || format!("cannot write {}", file.display());
    make_parents(file)?;
    let beside = file.with_extension("new");
    let mut written = File::create(&beside).with_context(context)?;
    written.write_all(text.as_bytes()).with_context(context)?;
    let mode = fs::Permissions::from_mode(0o644);
    written.set_permissions(mode).with_context(context)?;
    written.sync_all().with_context(context)?;
    fs::rename(&beside, file).with_context(context)
}

fn make_parents(file: &Path) -> anyhow::Result<()> {
    let parent = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}

fn make_folder(path: &Path, of_service: bool) -> anyhow::Result<()> {
    let context = || format!("cannot create {}", path.display());
    make_parents(path)?;
    match fs::create_dir(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.with_context(context)?,
    }
    if of_service {
        let (user, group) = ids(USER)?;
        // Who owns the folder around it may have put a link in its place by now.
        let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let mut options = File::options();
        let options = options.read(true).custom_flags(flags.bits().cast_signed());
        let folder = options.open(path).with_context(context)?;
        fchown(&folder, Some(user), Some(group)).with_context(context)?;
        // Whoever belongs to the group may drop files, and what they drop is the group's.
        let mode = fs::Permissions::from_mode(0o2775);
        folder.set_permissions(mode).with_context(context)?;
    }
    Ok(())
}

/// Numbers of a user and of its first group. The system's own program is asked, since users may come
/// from elsewhere than /etc/passwd.
fn ids(user: &str) -> anyhow::Result<(u32, u32)> {
    let ask = |what: &str| -> anyhow::Result<u32> {
        let told = Command::new("id").args([what, user]).output()?;
        Ok(String::from_utf8(told.stdout)?.trim().parse()?)
    };
    let both = || anyhow::Ok((ask("-u")?, ask("-g")?));
    both().with_context(|| format!("cannot find the user {user}"))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        // Somebody else's drop-ins lie in the folder.
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        removed => removed.with_context(|| format!("cannot remove {}", path.display())),
    }
}

fn execute(words: &[OsString]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = words else {
        return Ok(());
    };
    let name = Path::new(program).display();
    let status = Command::new(program)
        .args(arguments)
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{} ended with {status}", Step::Run(words.to_vec()));
    }
    Ok(())
}
