//! How the folders lie on disk: what must hold so that no picture is taken twice and no output is
//! taken for input.
//!
//! A folder that is not there, or does not answer, is no mistake: it is offline, and waited for. It
//! is held against the others by where it will lie, as far as its path can be resolved now.

mod location;

use std::path::Path;

use self::location::Location;
use super::{
    model::{Folder, Source},
    section::Findings,
    tree::Place,
};

/// A folder of the file and where its two paths stand in it.
pub struct Site {
    pub folder: Folder,
    pub input_at: Place,
    pub output_at: Place,
    /// Whether the file names the output.
    pub output_given: bool,
    pub after_at: Place,
    pub on_failure_at: Place,
}

/// What would become of pictures in outputs that meet.
const ONE_NAME: &str = "so that pictures of one name would replace each other";

impl Site {
    /// Whether the output lies inside another's, be it behind a link there.
    fn output_inside(&self, output: &Location, other: &Self, other_output: &Location) -> bool {
        output.inside(other_output) || self.folder.output.starts_with(&other.folder.output)
    }

    /// The folders that its files are moved to, with where they stand.
    pub fn moved_to(&self) -> impl Iterator<Item = (&Path, &Place)> {
        let Folder {
            after, on_failure, ..
        } = &self.folder;
        [(after, &self.after_at), (on_failure, &self.on_failure_at)]
            .into_iter()
            .filter_map(|(source, at)| match source {
                Source::MoveTo(path) => Some((path.as_path(), at)),
                Source::Keep | Source::Delete => None,
            })
    }
}

/// A site, and where its two paths lead as far as they can be resolved.
struct Located<'a> {
    site: &'a Site,
    input: Option<Location>,
    output: Option<Location>,
}

/// Checks the directories on disk and how they lie to each other. No two folders may come to write
/// the same name: their subfolders may come and go, so what could meet is refused, not only what
/// does.
pub fn check(sites: &[Site], findings: &Findings) {
    let located: Vec<_> = sites.iter().map(|site| locate(site, findings)).collect();
    for (index, one) in located.iter().enumerate() {
        check_own(one, findings);
        for (other_index, other) in located.iter().enumerate() {
            if index != other_index {
                check_inputs(one, other, other_index < index, findings);
                check_outputs(one, other, other_index < index, findings);
                check_output_against_input(one, other, findings);
            }
        }
        for (path, at) in one.site.moved_to() {
            match location::of_output(path) {
                Ok(moved) => check_moved(one.site, &moved, at, &located, findings),
                Err(cause) => findings.add(at, cause),
            }
        }
    }
}

fn locate<'a>(site: &'a Site, findings: &Findings) -> Located<'a> {
    let found = |location: Result<_, String>, at: &Place| {
        location.map_err(|cause| findings.add(at, cause)).ok()
    };
    let input = found(location::of_input(&site.folder.input), &site.input_at);
    // The default output of an input that cannot be read would be reported twice.
    let output = (site.output_given || input.is_some())
        .then(|| location::of_output(&site.folder.output))
        .and_then(|location| found(location, &site.output_at));
    Located {
        site,
        input,
        output,
    }
}

fn check_own(one: &Located<'_>, findings: &Findings) {
    let (Some(input), Some(output)) = (&one.input, &one.output) else {
        return;
    };
    let at = &one.site.output_at;
    if output.same(input) {
        findings.add(at, format!("is the input itself, {}", input.path.display()));
    } else if one.site.folder.fills_subfolders() && input.inside(output) {
        // The mirror of a subfolder could be the input.
        findings.add(at, format!("holds the input, {}", input.path.display()));
    }
}

fn check_inputs(one: &Located<'_>, other: &Located<'_>, earlier: bool, findings: &Findings) {
    let (Some(input), Some(other_input)) = (&one.input, &other.input) else {
        return;
    };
    let (at, name) = (&one.site.input_at, &other.site.input_at.key);
    if earlier && input.same(other_input) {
        findings.add(at, format!("is the same folder as {name}"));
    } else if other.site.folder.recursive && input.inside(other_input) {
        let cause = format!("lies inside {name}, which is recursive");
        findings.add(at, cause);
    }
}

fn check_outputs(one: &Located<'_>, other: &Located<'_>, earlier: bool, findings: &Findings) {
    let (Some(output), Some(other_output)) = (&one.output, &other.output) else {
        return;
    };
    let (at, name) = (&one.site.output_at, &other.site.output_at.key);
    let is_mirror = other.site.folder.fills_subfolders();
    if output.same(other_output) {
        if earlier {
            let cause =
                format!("is the same folder as {name}, {ONE_NAME}: give each a folder of its own");
            findings.add(at, cause);
        }
    } else if is_mirror && one.site.output_inside(output, other.site, other_output) {
        let cause = format!(
            "lies inside {name}, in which subfolders are mirrored, {ONE_NAME}: \
             name a folder beside it"
        );
        findings.add(at, cause);
    }
}

fn check_output_against_input(one: &Located<'_>, other: &Located<'_>, findings: &Findings) {
    let (Some(output), Some(other_input)) = (&one.output, &other.input) else {
        return;
    };
    let (at, name) = (&one.site.output_at, &other.site.input_at.key);
    // A folder's own output is never taken, nor is what others put into it.
    let excluded = other.output.as_ref().is_some_and(|other_output| {
        other_output.inside(other_input)
            && (output.same(other_output) || output.inside(other_output))
    });
    if output.same(other_input) {
        findings.add(at, format!("is the folder of {name}"));
    } else if other.site.folder.recursive && output.inside(other_input) && !excluded {
        let cause = format!("lies inside {name}, which is recursive");
        findings.add(at, cause);
    } else if one.site.folder.fills_subfolders() && other_input.inside(output) {
        findings.add(at, format!("holds {name}"));
    }
}

/// Checks the folder that a site's files are moved to, `moved`. What lies there must neither be
/// taken for input nor be overwritten by a published picture; folders may share it.
fn check_moved(
    site: &Site,
    moved: &Location,
    at: &Place,
    located: &[Located<'_>],
    findings: &Findings,
) {
    for Located {
        site: other,
        input,
        output,
    } in located
    {
        if let Some(input) = input {
            let name = &other.input_at.key;
            if moved.same(input) {
                findings.add(at, format!("is the folder of {name}"));
            } else if other.folder.recursive && moved.inside(input) {
                findings.add(at, format!("lies inside {name}, which is recursive"));
            } else if site.folder.recursive && input.inside(moved) {
                findings.add(at, format!("holds {name}"));
            }
        }
        if let Some(output) = output {
            let name = &other.output_at.key;
            if moved.same(output) {
                findings.add(at, format!("is the folder of {name}"));
            } else if other.folder.fills_subfolders() && moved.inside(output) {
                let cause = format!("lies inside {name}, in which subfolders are mirrored");
                findings.add(at, cause);
            } else if site.folder.recursive && output.inside(moved) {
                findings.add(at, format!("holds {name}"));
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use crate::config;

    /// Folders as (input, output, recursive), and what is reported of them.
    type Layout = (
        &'static [(&'static str, &'static str, bool)],
        &'static [&'static str],
    );

    const SAME: &str = "1.output: is the same folder as folders[0].output, so that pictures of one \
                        name would replace each other: give each a folder of its own";
    const MIRRORED_0: &str = "0.output: lies inside folders[1].output, in which subfolders are \
                              mirrored, so that pictures of one name would replace each other: \
                              name a folder beside it";
    const MIRRORED_1: &str = "1.output: lies inside folders[0].output, in which subfolders are \
                              mirrored, so that pictures of one name would replace each other: \
                              name a folder beside it";

    const LAYOUTS: &[Layout] = &[
        (&[("a", "out", false), ("b", "b/output", true)], &[]),
        // An output above the input is harmless as long as no tree is mirrored into it.
        (&[("a/in", "a", false)], &[]),
        (&[("a/in", "a", true)], &["0.output: holds the input, a/in"]),
        (&[("a", "out", false), ("b", "out/2024", true)], &[]),
        (&[("a", "out", true), ("b", "out2", true)], &[]),
        (
            &[("a", "out", true), ("b", "out/2024", false)],
            &[MIRRORED_1],
        ),
        (
            &[("b", "out/2024/x", true), ("a", "out", true)],
            &[MIRRORED_0],
        ),
        (
            &[("b", "a", true), ("c", "link/gone", false)],
            &[MIRRORED_1],
        ),
        // What lies behind a link is written to through it.
        (&[("c", "a", true), ("b", "a/away", false)], &[MIRRORED_1]),
        // What others put into a folder's own output is not taken, but may be overwritten.
        (&[("a", "a/in", true), ("b", "a/in/b", true)], &[MIRRORED_1]),
        // What is not there is waited for.
        (&[("gone", "out", false), ("b", "dangling", false)], &[]),
        (
            &[("a", "gone/out", false), ("gone/in", "gone/in/out", true)],
            &[],
        ),
        (
            &[("gone", "out", false), ("b", "link/../gone", false)],
            &["1.output: is the folder of folders[0].input"],
        ),
        (
            &[("gone/in", "out", false), ("gone", "out2", true)],
            &["0.input: lies inside folders[1].input, which is recursive"],
        ),
        (
            &[("gone", "out", true), ("b", "gone/out", false)],
            &["1.output: lies inside folders[0].input, which is recursive"],
        ),
        (
            &[("file", "out", false)],
            &["0.input: cannot read file: Not a directory (os error 20)"],
        ),
        (
            &[("a", "file", false)],
            &["0.output: cannot use file: not a directory"],
        ),
        (
            &[("a", "file/out", false)],
            &["0.output: cannot use file/out: Not a directory (os error 20)"],
        ),
        (&[("a", "a", false)], &["0.output: is the input itself, a"]),
        (
            &[("a", "a/in/..", false)],
            &["0.output: is the input itself, a"],
        ),
        (
            &[("a", "link", false)],
            &["0.output: is the input itself, a"],
        ),
        (
            &[("link", "a", true)],
            &["0.output: is the input itself, a"],
        ),
        (
            &[("a", "out", false), ("link", "b/out", false)],
            &["1.input: is the same folder as folders[0].input"],
        ),
        (
            &[("a", "out", true), ("a/in", "b/out", false)],
            &["1.input: lies inside folders[0].input, which is recursive"],
        ),
        (&[("a", "out", false), ("a/in", "b/out", true)], &[]),
        (&[("a", "out", false), ("b", "./out", false)], &[SAME]),
        (&[("b", "a", false), ("c", "link", false)], &[SAME]),
        (
            &[("a", "b", false), ("b", "link", false)],
            &[
                "0.output: is the folder of folders[1].input",
                "1.output: is the folder of folders[0].input",
            ],
        ),
        (
            &[("a", "out", true), ("b", "link/in/out", false)],
            &["1.output: lies inside folders[0].input, which is recursive"],
        ),
        (&[("a", "out", false), ("b", "a/in/out", false)], &[]),
        (
            &[("b", "a", true), ("a/in", "out", false)],
            &["0.output: holds folders[1].input"],
        ),
        (&[("b", "a", false), ("a/in", "out", false)], &[]),
    ];

    /// Entries of `folders`, and what is reported of them.
    const MOVES: &[(&[&str], &[&str])] = &[
        (
            &["input: a, output: out, after: {move_to: done}, on_failure: {move_to: done}"],
            &[],
        ),
        (&["input: a, output: out, after: {move_to: a/done}"], &[]),
        (
            &[
                "input: a, output: out, after: {move_to: done}",
                "input: b, output: out2, on_failure: {move_to: done}",
            ],
            &[],
        ),
        (
            &["input: a, output: out, after: {move_to: link}"],
            &["0.after: is the folder of folders[0].input"],
        ),
        (
            &["input: a, output: out, on_failure: {move_to: out}"],
            &["0.on_failure: is the folder of folders[0].output"],
        ),
        (
            &["input: a, output: out, recursive: true, after: {move_to: a/done}"],
            &["0.after: lies inside folders[0].input, which is recursive"],
        ),
        (
            &["input: a, output: b, recursive: true, after: {move_to: b/done}"],
            &["0.after: lies inside folders[0].output, in which subfolders are mirrored"],
        ),
        (&["input: a, output: b, after: {move_to: b/done}"], &[]),
        (
            &[
                "input: b, output: out, recursive: true, after: {move_to: a}",
                "input: a/in, output: out2",
            ],
            &["0.after: holds folders[1].input"],
        ),
        (
            &[
                "input: b, output: out, after: {move_to: a/in}",
                "input: a, output: out2",
                "input: a/in, output: out3",
            ],
            &["0.after: is the folder of folders[2].input"],
        ),
        (
            &["input: b, output: a/out, recursive: true, after: {move_to: a}"],
            &["0.after: holds folders[0].output"],
        ),
        (
            &["input: a, output: out, after: {move_to: file}"],
            &["0.after: cannot use file: not a directory"],
        ),
    ];

    #[cfg(unix)]
    #[test]
    fn folders_that_feed_each_other_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("a/in")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
        fs::create_dir(root.join("c")).unwrap();
        fs::create_dir(root.join("away")).unwrap();
        std::os::unix::fs::symlink("../away", root.join("a/away")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        let mark = ndarray::Array3::<u8>::from_elem((1, 1, 4), 200);
        ndarray_npy::write_npy(root.join("mark.npy"), &mark).unwrap();

        let layouts = LAYOUTS.iter().map(|(folders, expected)| {
            let entries = folders.iter().map(|(input, output, recursive)| {
                format!("input: {input}, output: {output}, recursive: {recursive}")
            });
            (entries.collect::<Vec<_>>(), *expected)
        });
        let moves = MOVES.iter().map(|(entries, expected)| {
            let entries = entries.iter().map(|&entry| entry.to_owned());
            (entries.collect(), *expected)
        });
        for (entries, expected) in layouts.chain(moves) {
            let mut text = "watermark: {npy_path: mark.npy}\nfolders:\n".to_owned();
            for entry in entries {
                text = format!("{text}- {{{entry}}}\n");
            }
            fs::write(root.join("config.yaml"), &text).unwrap();
            let problems = match config::load(&root.join("config.yaml")) {
                Ok(_) => Vec::new(),
                Err(error) => error.problems,
            };
            let found: Vec<String> = problems
                .iter()
                .map(|problem| {
                    let place = problem.key.replacen("folders[", "", 1).replacen(']', "", 1);
                    let cause = problem.cause.replace(&format!("{}/", root.display()), "");
                    format!("{place}: {cause}")
                })
                .collect();
            assert_eq!(found, *expected, "of\n{text}");
        }
    }
}
