//! The fate of a file that no folder takes, and the rule that says so.

use std::path::Path;

use crate::{
    cli::{answer::Answer, place::Place},
    config::{Config, Folder},
    os,
    watch::{self, Ignored},
};

pub fn outside(config: &Config, place: &Place<'_>) -> Answer {
    if let Some(folder) = place.by_link {
        let reason = format!(
            "a symbolic link on the way leads out of folder {}",
            folder.input.display()
        );
        return Answer::new("ignored", reason, "never").with("rule", "link");
    }
    let holder = config.folders.iter().find(|folder| {
        os::resolve(&folder.output).is_ok_and(|output| place.path.starts_with(output))
    });
    let reason = match holder {
        Some(folder) => format!("it lies in the output of {}", folder.input.display()),
        None => "it lies in none of the folders of the configuration".to_owned(),
    };
    Answer::new("outside", reason, "never, where it lies")
}

pub fn by_rule(folder: &Folder, ignored: Ignored) -> Answer {
    let (rule, pattern) = match ignored {
        Ignored::Extension => ("extension", None),
        Ignored::BuiltIn(pattern) => ("built-in", Some(pattern)),
        Ignored::Glob(index) => ("glob", folder.globs.get(index).map(String::as_str)),
        Ignored::Output => ("output", None),
        Ignored::Subfolder => ("subfolder", None),
    };
    let reason = match (ignored, pattern) {
        (Ignored::Glob(_), Some(glob)) => format!("{ignored}: {glob}"),
        _ => ignored.to_string(),
    };
    let next = match ignored {
        Ignored::Extension | Ignored::BuiltIn(_) => "never under this name",
        Ignored::Glob(_) => "never, unless `ignore` changes or it gets another name",
        Ignored::Subfolder => "never, unless the folder becomes `recursive`",
        Ignored::Output => "never",
    };
    Answer::new("ignored", reason, next)
        .with("rule", rule)
        .with("pattern", pattern)
}

pub fn a_folder(folder: &Folder, output: Option<&Path>, relative: &Path) -> Answer {
    let ignored = if output.is_some_and(|output| relative.starts_with(output)) {
        Some(Ignored::Output)
    } else if folder.recursive {
        watch::judge_directory(relative, &folder.ignore).err()
    } else {
        Some(Ignored::Subfolder)
    };
    let reason = match ignored {
        None => "it is a folder, whose pictures are watched".to_owned(),
        Some(ignored) => {
            let reason = by_rule(folder, ignored).reason;
            format!("it is a folder, and what is in it is ignored: {reason}")
        }
    };
    Answer::new("ignored", reason, "never; ask for a file in it").with("rule", "not a file")
}
