//! What the README and the pages below `docs` say, held against the program: links, commands,
//! configurations, keys with their defaults and ranges, fields, rooms, and quoted messages.
//!
//! A block marked `sh` is run, page by page, in a folder that [`home`] prepares. One that cannot be
//! run there says so in a line above it that begins with [`NOT_RUN`].

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_yaml::Value;

use super::sandbox::Sandbox;

const NOT_RUN: &str = "*Not run by the tests";
const README_AT_MOST: usize = 8192;

struct Page {
    /// Relative to the repository.
    name: String,
    text: String,
}

/// A fenced block.
struct Block<'a> {
    language: &'a str,
    text: String,
    /// The last line before it that is not empty.
    above: &'a str,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> Page {
    Page {
        name: name.to_owned(),
        text: fs::read_to_string(repository().join(name)).unwrap(),
    }
}

fn pages() -> Vec<Page> {
    let docs = fs::read_dir(repository().join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| format!("docs/{name}")).collect();
    names.push("README.md".to_owned());
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

impl Page {
    /// The lines outside fenced blocks, and the blocks.
    fn parts(&self) -> (Vec<&str>, Vec<Block<'_>>) {
        let (mut prose, mut blocks) = (Vec::new(), Vec::new());
        let mut open: Option<Block<'_>> = None;
        let mut above = "";
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(language)) => {
                    let text = String::new();
                    open = Some(Block {
                        language,
                        text,
                        above,
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => prose.push(line),
            }
            if open.is_none() && !line.is_empty() {
                above = line;
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        (prose, blocks)
    }

    /// The names by which the headings can be linked to, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let (prose, _) = self.parts();
        let headings = prose.iter().filter(|line| line.starts_with('#'));
        let mut anchors = BTreeSet::new();
        for heading in headings {
            let title = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            assert!(
                anchors.insert(anchor),
                "{}: two headings {heading}",
                self.name
            );
        }
        anchors
    }

    /// The part below a heading, up to the next of the same or a higher rank.
    fn section(&self, heading: &str) -> &str {
        let start = format!("\n{heading}\n");
        let (_, rest) = self.text.split_once(&start).unwrap_or_else(|| {
            panic!("{} has no {heading}", self.name);
        });
        let rank = heading.chars().take_while(|c| *c == '#').count();
        let ends = (1..=rank).filter_map(|rank| rest.find(&format!("\n{} ", "#".repeat(rank))));
        &rest[..ends.min().unwrap_or(rest.len())]
    }
}

/// The rows of all tables of a text, heads and rules left out.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| {
        let line = line.trim_start_matches("| ").trim_end_matches(" |");
        line.split(" | ").map(str::trim).collect()
    })
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_readme_is_read_in_two_minutes() {
    let length = page("README.md").text.len();
    assert!(length <= README_AT_MOST, "README.md has {length} bytes");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<PathBuf, BTreeSet<String>> = pages
        .iter()
        .map(|page| {
            let path = repository().join(&page.name).canonicalize().unwrap();
            (path, page.anchors())
        })
        .collect();
    let mut linked = BTreeSet::new();
    let mut links = 0;
    for page in &pages {
        let here = repository().join(&page.name).canonicalize().unwrap();
        for line in page.parts().0 {
            for target in line.split("](").skip(1) {
                let target = target.split(')').next().unwrap();
                if target.starts_with("https://") {
                    continue;
                }
                let (path, anchor) = match target.split_once('#') {
                    Some((path, anchor)) => (path, Some(anchor)),
                    None => (target, None),
                };
                let found = if path.is_empty() {
                    Ok(here.clone())
                } else {
                    here.parent().unwrap().join(path).canonicalize()
                };
                let found = found.unwrap_or_else(|_| panic!("{}: no {target}", page.name));
                if let Some(anchor) = anchor {
                    let known = anchors.get(&found).is_some_and(|all| all.contains(anchor));
                    assert!(known, "{}: no heading for {target}", page.name);
                }
                if page.name == "README.md" {
                    linked.insert(found);
                }
                links += 1;
            }
        }
    }
    assert!(links > 60, "only {links} links");
    for path in anchors.keys().filter(|path| !path.ends_with("README.md")) {
        assert!(linked.contains(path), "README.md has no {}", path.display());
    }
}

/// What the pages name of this repository is there.
#[test]
fn every_file_that_is_named_exists() {
    let roots = ["src/", "tests/", "packaging/", "benches/", "docs/", ".ci/"];
    let mut named = 0;
    for page in pages() {
        for line in page.parts().0 {
            for text in quoted(line) {
                let path = text.split(' ').next().unwrap();
                let is_ours = roots.iter().any(|root| path.starts_with(root));
                if !is_ours || path.contains('*') {
                    continue;
                }
                let found = repository().join(path).exists();
                assert!(found, "{}: there is no {path}", page.name);
                named += 1;
            }
        }
    }
    assert!(named > 40, "only {named} files");
}

/// A folder with `demo`, as `init` makes it, a picture in it, and a logo.
fn home() -> Sandbox {
    let sandbox = Sandbox::new();
    let made = shell(&sandbox, "watermarkd init demo");
    assert!(made.status.success(), "{made:?}");
    for (from, to) in [
        ("photo-large.jpg", "demo/in/photo-large.jpg"),
        ("rgba.png", "logo.png"),
    ] {
        fs::copy(
            repository().join("tests/reference").join(from),
            sandbox.path(to),
        )
        .unwrap();
    }
    sandbox
}

/// Runs commands as somebody types them who has the program on the path and nothing at home.
fn shell(sandbox: &Sandbox, commands: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_watermarkd"));
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(env::var_os("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", commands]);
    shell.current_dir(sandbox.path("")).env("PATH", path);
    shell.env("HOME", sandbox.path(""));
    for name in [
        "WATERMARKD_CONFIG",
        "CONFIGURATION_DIRECTORY",
        "STATE_DIRECTORY",
        "LOGS_DIRECTORY",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ] {
        shell.env_remove(name);
    }
    shell.output().unwrap()
}

fn told(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

#[test]
fn every_command_runs_or_says_why_not() {
    let mut run = 0;
    for page in pages() {
        let sandbox = home();
        for block in page.parts().1 {
            let languages = ["", "sh", "yaml", "powershell", "mermaid"];
            assert!(languages.contains(&block.language), "{}", block.language);
            if block.language != "sh" || block.above.starts_with(NOT_RUN) {
                continue;
            }
            let output = shell(&sandbox, &block.text);
            let (page, commands) = (&page.name, &block.text);
            let last = commands.trim_end().lines().last().unwrap();
            let is_status = last.starts_with("watermarkd status ");
            // No daemon runs here.
            let expected = if is_status { 3 } else { 0 };
            let code = output.status.code();
            assert_eq!(code, Some(expected), "{page}:\n{commands}{}", told(&output));
            run += 1;
        }
    }
    assert!(run >= 5, "only {run} blocks were run");
}

/// All of the README's first command but the build.
#[test]
fn the_first_command_ends_with_a_marked_picture() {
    let page = page("README.md");
    let block = page.parts().1.into_iter().next().unwrap();
    let (_, after) = block
        .text
        .split_once("cargo build --release --locked && ")
        .unwrap();
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(repository().join("tests"), sandbox.path("tests")).unwrap();
    let output = shell(
        &sandbox,
        &after.replace("target/release/watermarkd", "watermarkd"),
    );
    assert!(output.status.success(), "{}", told(&output));
    assert!(page.text.contains("`demo/out/photo-large.jpg`"));
    assert!(sandbox.path("demo/out/photo-large.jpg").exists());
}

/// Whether the program takes a configuration, and what it says.
fn check(sandbox: &Sandbox, config: &str) -> (bool, String) {
    sandbox.write("tried.yaml", config.as_bytes());
    let output = shell(sandbox, "watermarkd check -c tried.yaml");
    (output.status.success(), told(&output))
}

/// A folder with every mark and folder that the pages name.
fn named() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["logo.npy", "text.npy"] {
        fs::copy(sandbox.path("mark.npy"), sandbox.path(name)).unwrap();
    }
    fs::create_dir(sandbox.path("DIR")).unwrap();
    sandbox
}

#[test]
fn every_configuration_that_is_shown_is_taken() {
    let sandbox = named();
    let mut tried = 0;
    for page in pages() {
        for block in page.parts().1 {
            if block.language != "yaml" || block.text.starts_with("services:") {
                continue;
            }
            let mut config = block.text;
            if !config.contains("watermark:") {
                config.push_str("watermark: {npy_path: mark.npy}\n");
            }
            if !config.contains("folders:") && !config.contains("input_folder:") {
                config.push_str("folders: [{input: in, output: out}]\n");
            }
            let (taken, told) = check(&sandbox, &config);
            assert!(taken, "{}:\n{config}{told}", page.name);
            tried += 1;
        }
    }
    assert!(tried >= 5, "only {tried} configurations");
}

/// A row of `docs/configuration.md`.
struct Key {
    name: String,
    /// The cells behind the name: default, range, example; empty where the row has fewer.
    default: String,
    range: String,
    example: String,
}

fn keys() -> Vec<Key> {
    let page = page("docs/configuration.md");
    let (_, tables) = page.text.split_once("\n## Watermark\n").unwrap();
    rows(tables)
        .map(|cells| {
            let cell = |index: usize| cells.get(index).copied().unwrap_or_default().to_owned();
            Key {
                name: quoted(cells[0]).next().unwrap().to_owned(),
                default: cell(1),
                range: cell(2),
                example: cell(3),
            }
        })
        .collect()
}

/// What the program says that it knows, in each mapping.
#[test]
fn every_key_of_the_program_is_on_the_page_and_no_other() {
    // Where a key that nobody knows is put, and what the names of its siblings begin with.
    let places = [
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nzz: 1",
            "",
        ),
        (
            "watermark: {npy_path: mark.npy, zz: 1}\nfolders: [{input: in}]",
            "watermark.",
        ),
        (
            "watermark: {marks: [{npy_path: mark.npy, zz: 1}]}\nfolders: [{input: in}]",
            "watermark.marks[].",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in, zz: 1}]",
            "folders[].",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in, after: {move_to: d, zz: 1}}]",
            "folders[].after.",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in, on_failure: {move_to: d, zz: 1}}]",
            "folders[].on_failure.",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nretry: {zz: 1}",
            "retry.",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nlog: {zz: 1}",
            "log.",
        ),
        (
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nstatus: {zz: 1}",
            "status.",
        ),
    ];
    let sandbox = named();
    let known = |config: &str| -> Vec<String> {
        let (_, told) = check(&sandbox, config);
        let (_, names) = told
            .split_once("unknown key, known here are ")
            .unwrap_or_else(|| panic!("{config}\n{told}"));
        let names = names.lines().next().unwrap().split(", ");
        names.map(str::to_owned).collect()
    };
    // An entry of `renditions` has all keys of `watermark`, and its own.
    let shared = known(places[1].0);
    let rendition =
        known("watermark: {npy_path: mark.npy}\nfolders: [{input: in, renditions: [{zz: 1}]}]");
    let (own, taken): (Vec<String>, Vec<String>) = rendition
        .into_iter()
        .partition(|name| !shared.contains(name));
    assert_eq!(taken.len() + 1, shared.len(), "all but input_folder");
    let mut expected: BTreeSet<String> = places
        .iter()
        .flat_map(|(config, prefix)| {
            let names = known(config).into_iter();
            names.map(move |name| format!("{prefix}{name}"))
        })
        .collect();
    expected.extend(
        own.iter()
            .map(|name| format!("folders[].renditions[].{name}")),
    );
    // These have rows for what is in them.
    for section in ["watermark", "retry", "log", "status"] {
        assert!(expected.remove(section), "{section}");
    }
    let shown: BTreeSet<String> = keys().into_iter().map(|key| key.name).collect();
    assert_eq!(shown, expected);

    let own = known("folders: [{input: in, watermark: {npy_path: mark.npy, zz: 1}}]");
    let shared = known(places[1].0);
    let shared: Vec<String> = shared
        .into_iter()
        .filter(|name| name != "input_folder")
        .collect();
    assert_eq!(own, shared, "a folder's own `watermark`");
}

/// The place of a key in a configuration; what is missing on the way is made.
fn place<'a>(config: &'a mut Value, key: &str) -> &'a mut Value {
    key.split('.').fold(config, |node, part| {
        let (name, in_list) = match part.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (part, false),
        };
        if !node.is_mapping() {
            *node = Value::Mapping(serde_yaml::Mapping::new());
        }
        let map = node.as_mapping_mut().unwrap();
        let node = map.entry(name.into()).or_insert(Value::Null);
        if in_list && !node.is_sequence() {
            *node = Value::Sequence(vec![Value::Null]);
        }
        if in_list { &mut node[0] } else { node }
    })
}

/// Whether the program takes a value for a key.
fn takes(sandbox: &Sandbox, key: &str, value: &str) -> (bool, String) {
    let base = "watermark: {npy_path: mark.npy}\nfolders: [{input: in, output: out}]\n";
    let mut config: Value = serde_yaml::from_str(base).unwrap();
    let map = config.as_mapping_mut().unwrap();
    match key {
        "watermark.marks" | "watermark.text" => drop(map.remove("watermark")),
        "watermark.input_folder" => drop(map.remove("folders")),
        _ => {}
    }
    *place(&mut config, key) = serde_yaml::from_str(value).unwrap();
    check(sandbox, &serde_yaml::to_string(&config).unwrap())
}

/// A default that is shown as a value is the one of `config.example.yaml`, which a unit test holds
/// to the program.
#[test]
fn every_default_is_that_of_the_example() {
    let example = fs::read_to_string(repository().join("config.example.yaml")).unwrap();
    let mut example: Value = serde_yaml::from_str(&example).unwrap();
    let mut compared = 0;
    for key in keys() {
        let has_none = key.default.starts_with("none")
            || key.default == "that of the block around it"
            || key.name == "folders[].output";
        if has_none && key.default != "`none`" {
            continue;
        }
        let shown = quoted(&key.default).next().unwrap();
        let shown: Value = serde_yaml::from_str(shown).unwrap();
        let place = place(&mut example, &key.name);
        assert_eq!(&shown, place, "{}", key.name);
        compared += 1;
    }
    assert!(compared > 35, "only {compared} defaults");
}

#[test]
fn every_example_is_taken_and_every_range_is_the_one_that_holds() {
    let sandbox = named();
    let accepts = |key: &str, value: &str| {
        let (taken, told) = takes(&sandbox, key, value);
        assert!(taken, "{key}: {value}\n{told}");
    };
    let refuses = |key: &str, value: &str| {
        let (taken, told) = takes(&sandbox, key, value);
        assert!(!taken, "{key}: {value} is taken\n{told}");
    };
    // Just beyond what a range names.
    let beyond = [
        ("100ms", "99ms"),
        ("1s", "999ms"),
        ("1h", "3601s"),
        ("16MiB", "16777215"),
        ("64KiB", "65535"),
        ("\"50%\"", "\"50.1%\""),
        ("\"100%\"", "\"100.1%\""),
        ("\"1000%\"", "\"1000.1%\""),
    ];
    // Their numbers are those of entries.
    let counted = ["watermark.marks", "folders[].renditions"];
    let mut limits = 0;
    for Key {
        name,
        range,
        example,
        ..
    } in keys()
    {
        if let Some(example) = quoted(&example).next() {
            accepts(&name, example);
        }
        // Words and values that may be written.
        let mut words = 0;
        for word in quoted(&range).filter(|_| name != "folders[].watermark") {
            accepts(&name, word);
            words += 1;
            if let Some((_, refused)) = beyond.iter().find(|(limit, _)| *limit == word) {
                refuses(&name, refused);
                limits += 1;
            }
        }
        if words > 0 {
            refuses(&name, "[nonsense]");
        }
        // Whole numbers, as in `auto, or 1..1024`.
        let numbers = range.split([' ', ',']).find_map(|part| {
            let (low, high) = part.split_once("..")?;
            Some((low.parse::<i64>().ok()?, high.parse::<i64>().ok()?))
        });
        let Some((low, high)) = numbers.filter(|_| !counted.contains(&&*name)) else {
            continue;
        };
        for value in [low, high] {
            accepts(&name, &value.to_string());
        }
        for value in [low - 1, high + 1] {
            refuses(&name, &value.to_string());
        }
        limits += 2;
    }
    assert!(limits > 25, "only {limits} limits");
}

/// The names of all fields of an object and of what is in it.
fn fields(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                into.insert(name.clone());
                fields(value, into);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| fields(value, into)),
        _ => {}
    }
}

#[test]
fn every_field_for_programs_is_on_the_page() {
    let sandbox = home();
    sandbox.write("demo/in/bad.jpg", b"\xff\xd8 this is no picture");
    let run = shell(&sandbox, "watermarkd run --once -c demo/config.yaml");
    assert_eq!(run.status.code(), Some(1), "{}", told(&run));
    let mut found = BTreeSet::new();
    for (command, code) in [
        ("status", 3),
        ("explain demo/in/photo-large.jpg", 0),
        ("explain demo/in/bad.jpg", 0),
    ] {
        let command = format!("watermarkd {command} --json -c demo/config.yaml");
        let output = shell(&sandbox, &command);
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        fields(&serde_json::from_slice(&output.stdout).unwrap(), &mut found);
    }
    let page = page("docs/operations.md");
    let shown: BTreeSet<&str> = quoted(page.section("### JSON")).collect();
    for field in &found {
        assert!(shown.contains(field.as_str()), "{field} is not explained");
    }
    assert!(found.len() > 30, "{found:?}");
}

#[test]
fn every_command_is_on_the_page() {
    let sandbox = Sandbox::new();
    let help = told(&shell(&sandbox, "watermarkd --help"));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 8, "{help}");
    let page = page("docs/operations.md");
    let section = page.section("## Commands");
    for name in names {
        let shown = section.contains(&format!("| `watermarkd {name}"));
        assert!(shown, "docs/operations.md has no {name}");
    }
}

#[test]
fn every_exit_code_and_every_fate_is_one_of_ours() {
    let page = page("docs/operations.md");
    let sandbox = Sandbox::new();
    let help = told(&shell(&sandbox, "watermarkd --help"));
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes = codes.lines().take_while(|line| !line.is_empty());
    let codes = codes.filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let section = page.section("## Exit codes");
    let shown = section.lines().filter_map(|line| {
        let (code, _) = line.strip_prefix("| ")?.split_once(" |")?;
        code.parse().ok()
    });
    assert_eq!(shown.collect::<Vec<u8>>(), codes.collect::<Vec<u8>>());

    let mut ours = String::new();
    sources(&repository().join("src/cli"), &mut ours);
    let fates: Vec<&str> = rows(page.section("### Fates"))
        .map(|cells| cells[0].trim_matches('`'))
        .collect();
    for fate in &fates {
        assert!(ours.contains(&format!("\"{fate}\"")), "no fate is {fate}");
    }
    assert_eq!(fates.len(), 11);
}

/// The rooms are those of `lib.rs`, in its order.
#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(repository().join("src/lib.rs")).unwrap();
    let rooms = map
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let page = page("docs/architecture.md");
    let shown = rows(page.section("## Rooms")).map(|cells| cells[0].trim_matches('`').to_owned());
    assert_eq!(shown.collect::<Vec<_>>(), rooms.collect::<Vec<_>>());
}

/// All sources of the program, one after the other.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// The texts that the table quotes, with `…` for what differs, are the program's own.
#[test]
fn every_text_in_the_table_of_troubles_is_one_of_ours() {
    let mut ours = String::new();
    sources(&repository().join("src"), &mut ours);
    // The system's, and one that is put together, which `operate` asserts.
    ours.push_str(": Permission denied, : Read-only file system, systemctl status, ");
    ours.push_str("daemon: not running");

    let page = page("docs/troubleshooting.md");
    let table = page.text.lines().filter(|line| line.starts_with("| "));
    let mut texts = 0;
    for row in table.skip(1) {
        let says = row.split(" | ").nth(1).unwrap();
        for text in quoted(says) {
            for part in text.split('…').filter(|part| !part.trim().is_empty()) {
                // What is printed of a name and its value has a place for the value.
                assert!(ours.contains(part), "nobody says {part:?}: {row}");
                texts += 1;
            }
        }
    }
    assert!(texts > 30, "only {texts} texts");
}
