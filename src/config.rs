//! The configuration: YAML in, validated values out.
//!
//! A `Config` is complete: its paths are absolute, its marks are loaded, and its folders do not feed
//! each other, whether they exist already or not. Nothing is made on disk. All problems of a file are
//! reported at once.

mod error;
mod fitness;
mod flags;
mod folders;
mod home;
mod layout;
mod model;
mod python;
mod recipe;
mod renditions;
mod section;
mod settings;
mod size;
mod state;
mod text;
mod tree;
mod value;

use std::{
    fs,
    num::NonZeroUsize,
    path::{self, Path, PathBuf},
    thread,
    time::Duration,
};

use tracing::Level;
use xxhash_rust::xxh3::xxh3_64;

pub use self::{
    error::{ConfigError, Problem},
    flags::recipe_of,
    folders::glob_set,
    home::{Home, locate},
    model::{Config, Folder, Log, LogFormat, OnConflict, Rendition, Rotation, Source, Watch},
    python::{PythonForm, python_form},
    recipe::{bare_recipe, doubts},
};
use self::{
    home::default_log_dir,
    section::{Findings, Section},
    tree::Node,
};
use crate::retry::Backoff;

/// A look at what a configuration names on disk. Of the configuration it gets all but the folders,
/// which come with their places.
type Look = fn(&Config, &[layout::Site], &state::Places, &Findings);

/// Loads and checks `file`, its marks and its folders.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    load_and(file, |config, sites, places, findings| {
        layout::check(sites, findings);
        state::check(config, sites, places, findings);
    })
}

/// Loads `file`, and refuses as well what a start would take and then wait with, since somebody is
/// there to mend it. With what is taken all the same, but hardly meant.
pub fn load_strictly(file: &Path) -> Result<(Config, Vec<Problem>), ConfigError> {
    let understood = understand_and(file, |config, sites, places, findings| {
        layout::check(sites, findings);
        state::check(config, sites, places, findings);
        if findings.is_empty() {
            fitness::check(config, sites, places, findings);
        }
    });
    match understood.error {
        None => Ok((understood.config, understood.warnings)),
        Some(error) => Err(error),
    }
}

/// What a valid configuration most likely does not mean, each thing once.
#[must_use]
pub fn warnings(config: &Config) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for folder in &config.folders {
        let mut recipes = folder.renditions.iter().map(|rendition| &rendition.recipe);
        let doubted = recipes.find_map(|recipe| doubts(recipe));
        warnings.extend(doubted.filter(|doubt| !warnings.contains(doubt)));
    }
    warnings
}

/// A configuration as far as it can be understood: for who only asks, and is to get an answer
/// whatever is wrong with the file.
#[derive(Debug)]
pub struct Understood {
    /// Without the folders and marks that cannot be made sense of, and with defaults for the rest.
    pub config: Config,
    pub error: Option<ConfigError>,
    pub warnings: Vec<Problem>,
}

/// Understands `file` as far as possible, without a look at its folders, which may not even answer.
pub fn understand(file: &Path) -> Understood {
    understand_and(file, |_, _, _, _| {})
}

fn load_and(file: &Path, look: Look) -> Result<Config, ConfigError> {
    let Understood { config, error, .. } = understand_and(file, look);
    error.map_or(Ok(config), Err)
}

fn understand_and(file: &Path, look: Look) -> Understood {
    let absolute = path::absolute(file).map_or_else(|_| file.to_owned(), value::without_parents);
    let failed = |config, problems| Understood {
        config,
        error: Some(ConfigError {
            file: file.to_owned(),
            problems,
        }),
        warnings: Vec::new(),
    };
    let bytes = match read_file(file) {
        Ok(bytes) => bytes,
        Err(problem) => return failed(unread(absolute), vec![problem]),
    };
    let parsed = tree::decode(&bytes).and_then(|text| Ok((text, tree::parse(text)?)));
    let (text, root) = match parsed {
        Ok(parsed) => parsed,
        Err(problem) => return failed(unread(absolute), vec![problem]),
    };

    let findings = Findings::default();
    findings.add_duplicates(&root);
    let mut config = read(&root, absolute, &findings, look);
    config.fingerprint = xxh3_64(&bytes);

    let [problems, warnings] = findings.into_inner().map(|found| problems_of(text, found));
    if problems.is_empty() {
        return Understood {
            config,
            error: None,
            warnings,
        };
    }
    failed(config, problems)
}

fn problems_of(text: &str, mut findings: Vec<(tree::Place, String)>) -> Vec<Problem> {
    findings.sort_by(|(a, _), (b, _)| a.order(b));
    let problem = |(place, cause): (tree::Place, String)| Problem {
        line: tree::line(text, &place),
        column: None,
        key: place.key,
        cause,
    };
    findings.into_iter().map(problem).collect()
}

fn read_file(file: &Path) -> Result<Vec<u8>, Problem> {
    let io_failed = |error: std::io::Error| Problem::of_file(format!("cannot read: {error}"));
    // A FIFO would be waited on for ever.
    if !fs::metadata(file).map_err(io_failed)?.is_file() {
        return Err(Problem::of_file("not a file".to_owned()));
    }
    fs::read(file).map_err(io_failed)
}

/// What is known of a configuration that cannot be read.
fn unread(file: PathBuf) -> Config {
    let mut config = defaults(file);
    config.home = Home::of(&config.file, true);
    config.ledger = config.home.ledger.clone().unwrap_or_default();
    config.log.dir = default_log_dir(&config.file).unwrap_or_default();
    config
}

/// What a file that names only a mark and a folder means.
fn defaults(file: PathBuf) -> Config {
    Config {
        file,
        fingerprint: 0,
        folders: Vec::new(),
        workers: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        settle: Duration::from_secs(2),
        settle_closed: Duration::from_millis(100),
        poll: Duration::from_secs(10),
        rescan: Duration::from_secs(5 * 60),
        max_memory: None,
        retry: Backoff {
            first: Duration::from_secs(5),
            max: Duration::from_secs(5 * 60),
        },
        ledger: PathBuf::new(),
        home: Home::default(),
        ledger_keep: Duration::from_secs(365 * 24 * 3600),
        log: Log {
            dir: PathBuf::new(),
            rotation: Rotation::Daily,
            keep: 14,
            max_total: 100 << 20,
            level: Level::INFO,
            format: LogFormat::Text,
            console: true,
        },
    }
}

/// The log where `file` cannot be read; none without a home directory.
#[cfg(windows)]
pub fn default_log(file: &Path) -> Option<Log> {
    let absolute = path::absolute(file).ok()?;
    let dir = default_log_dir(&absolute)?;
    let log = defaults(absolute).log;
    Some(Log {
        dir,
        console: false,
        ..log
    })
}

/// The config that `root` means; complete only when there are no findings.
fn read(root: &Node, file: PathBuf, findings: &Findings, look: Look) -> Config {
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    let mut config = defaults(file);
    let mut top = Section::of(root, findings);
    let places = settings::read(&mut top, &mut config, &base, findings);
    let sites = folders::read(&mut top, &base, findings);
    top.finish();
    look(&config, &sites, &places, findings);
    config.folders = sites.into_iter().map(|site| site.folder).collect();
    config
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use tempfile::TempDir;

    use super::*;
    use crate::picture::{
        Anchor, Chroma, Format, Length, PlacedMark, Position, Recipe, Relative, Resample, Scale,
        Side, Size, Subject,
    };

    const EXAMPLE: &str = include_str!("../config.example.yaml");
    const MINIMAL: &str = "watermark: {npy_path: mark.npy}\nfolders: [{input: in, output: out}]\n";

    /// A folder with a mark and the inputs `in`, `in/sub`, `b` and `c`.
    struct Sandbox(TempDir);

    impl Sandbox {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("in/sub")).unwrap();
            fs::create_dir(dir.path().join("b")).unwrap();
            fs::create_dir(dir.path().join("c")).unwrap();
            let mark = ndarray::Array3::<u8>::from_elem((2, 3, 4), 200);
            ndarray_npy::write_npy(dir.path().join("mark.npy"), &mark).unwrap();
            Self(dir)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn load(&self, text: &str) -> Result<Config, ConfigError> {
            let file = self.path("config.yaml");
            fs::write(&file, text).unwrap();
            load(&file)
        }

        fn good(&self, text: &str) -> Config {
            self.load(text)
                .unwrap_or_else(|error| panic!("{text}\nis refused:\n{error}"))
        }

        /// The problems without the path of the sandbox.
        fn bad(&self, text: &str) -> String {
            let Err(error) = self.load(text) else {
                panic!("{text}\nis accepted");
            };
            let dir = self.0.path().join("");
            error.to_string().replace(&dir.display().to_string(), "")
        }
    }

    #[test]
    fn the_example_is_the_defaults() {
        let sandbox = Sandbox::new();
        let [example, minimal] = [EXAMPLE, MINIMAL].map(|text| Config {
            fingerprint: 0,
            ..sandbox.good(text)
        });
        assert_eq!(format!("{example:#?}"), format!("{minimal:#?}"));

        let recipe = &minimal.folders[0].recipe().unwrap();
        assert_eq!((recipe.size, recipe.quality), (Size::Height(1080), 100));
        assert_eq!(minimal.settle, Duration::from_secs(2));
        assert_eq!(minimal.ledger.file_name().unwrap(), "ledger.sqlite");
        assert!(!sandbox.path("out").exists(), "a folder was made");
    }

    /// The parser itself names its keys when it meets one that is like none of them.
    #[test]
    fn the_example_has_every_key() {
        let sandbox = Sandbox::new();
        let problems = sandbox.bad(
            "zzz: 1\nwatermark: {zzz: 1}\nfolders: [{zzz: 1, watermark: {zzz: 1}}]\n\
             retry: {zzz: 1}\nlog: {zzz: 1}\nstatus: {zzz: 1}",
        );
        let known: Vec<&str> = problems
            .lines()
            .filter_map(|line| line.split_once("unknown key, known here are "))
            .flat_map(|(_, keys)| keys.split(", "))
            .collect();
        assert_eq!(problems.matches("unknown key").count(), 7, "{problems}");
        assert!(known.contains(&"workers") && known.contains(&"npy_path"));

        let in_example: BTreeSet<&str> = EXAMPLE
            .lines()
            .filter_map(|line| line.trim_start_matches([' ', '#', '-']).split_once(':'))
            .map(|(key, _)| key)
            .collect();
        for key in known {
            let shown = in_example.contains(key) || EXAMPLE.contains(&format!("`{key}: "));
            assert!(shown, "config.example.yaml has no {key}");
        }
    }

    #[test]
    fn every_key_is_taken() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            r#"
watermark: &base
  npy_path: mark
  opacity: 12.5
  output_height: 65500
  quality: 1
  output_quality: 90
  chroma: 444
  resample: fast
  upscale: false
  position: bottom-right
  margin: "2.5%"
  scale: 12.5%
  rotate: -22.5
  spacing: 0%
  min_picture: 64
folders:
  - input: ./in/
    recursive: true
    watch: poll
    ignore: ["*.tmp.jpg", "drafts/*"]
    after: {move_to: ./done/}
    on_failure: {move_to: failed}
    watermark: {opacity: 100, margin: 7, chroma: "420"}
  - {input: b, output: elsewhere, watch: events, watermark: *base}
workers: 1024
settle: 0s
settle_closed: 1.5s
poll: 100ms
rescan: 1h
max_pixels: 4000000000
max_memory: 1.5 GB
retry: {first: 10m, max: 10m}
ledger: books/l.sqlite
ledger_keep: 30d
log: {dir: logs, rotation: never, keep: 1, level: trace, format: json, console: false}
status:
"#,
        );
        assert_eq!(config.file, sandbox.path("config.yaml"));
        assert_eq!(config.workers.get(), 1024);
        let millis = [
            config.settle,
            config.settle_closed,
            config.poll,
            config.rescan,
            config.ledger_keep,
            config.retry.first,
            config.retry.max,
        ]
        .map(|duration| duration.as_millis());
        assert_eq!(
            millis,
            [0, 1500, 100, 3_600_000, 2_592_000_000, 600_000, 600_000]
        );
        assert_eq!(config.max_memory, Some(1_500_000_000));
        assert_eq!(config.ledger, sandbox.path("books/l.sqlite"));
        assert_eq!(config.log.dir, sandbox.path("logs"));
        assert_eq!(
            (config.log.rotation, config.log.keep, config.log.level),
            (Rotation::Never, 1, Level::TRACE)
        );
        assert_eq!(
            (config.log.format, config.log.console),
            (LogFormat::Json, false)
        );

        let [a, b] = &config.folders[..] else {
            panic!("{:?}", config.folders);
        };
        assert_eq!(a.input, sandbox.path("in"));
        assert_eq!(a.output, sandbox.path("in/output"));
        assert_eq!(b.output, sandbox.path("elsewhere"));
        assert_eq!((a.recursive, b.recursive), (true, false));
        assert_eq!((a.watch, b.watch), (Watch::Poll, Watch::Events));
        assert!(a.ignore.is_match("x.tmp.jpg") && a.ignore.is_match("drafts/x.jpg"));
        assert!(!a.ignore.is_match("x.jpg") && !a.ignore.is_match("drafts/s/x.jpg"));

        assert!(
            match [&a, &b].map(|folder| &folder.recipe().unwrap().marks[0].mark) {
                [Subject::Image(one), Subject::Image(other)] => Arc::ptr_eq(one, other),
                _ => false,
            },
            "a mark was loaded twice"
        );
        let treated = |recipe: &Recipe| {
            let placed = &recipe.marks[0];
            (placed.opacity, placed.margin, recipe.chroma)
        };
        let overridden = (100.0, Length::Pixels(7), Chroma::Half);
        assert_eq!(treated(a.recipe().unwrap()), overridden);
        let base = (12.5, Length::Percent(2.5), Chroma::Full);
        assert_eq!(treated(b.recipe().unwrap()), base);
        for recipe in [a.recipe().unwrap(), b.recipe().unwrap()] {
            let numbers = (recipe.size, recipe.quality, recipe.output_quality);
            assert_eq!(numbers, (Size::Height(65_500), 1, 90));
            let placed = &recipe.marks[0];
            assert_eq!((recipe.upscale, placed.min_picture), (false, 64));
            assert_eq!(recipe.resample, Resample::Fast);
            assert_eq!(placed.position, Position::At(Anchor::BottomRight));
            let scale = Scale {
                percent: 12.5,
                side: Side::Shorter,
            };
            assert_eq!((placed.scale, placed.rotate), (Some(scale), 337.5));
            assert_eq!(recipe.max_pixels, 4_000_000_000);
        }
    }

    #[test]
    fn marks_are_a_list_with_the_block_as_their_defaults() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            r"
watermark:
  opacity: 40
  rotate: 10
  marks:
    - {npy_path: mark, scale: 20%}
    - {npy_path: mark.npy, opacity: 70, position: tile, spacing: 3, margin: 1, min_picture: 9}
folders:
  - input: in
  - {input: b, watermark: {npy_path: mark, opacity: 5}}
  - {input: in/sub, watermark: {opacity: 6}}
  - {input: c, watermark: {marks: [{npy_path: mark, rotate: 30}]}}
",
        );
        let told: Vec<Vec<_>> = config
            .folders
            .iter()
            .map(|folder| {
                let marks = folder.recipe().unwrap().marks.iter();
                marks
                    .map(|mark| {
                        let scale = mark.scale.map(|scale| scale.percent);
                        (mark.opacity, mark.rotate, scale)
                    })
                    .collect()
            })
            .collect();
        assert_eq!(
            told,
            [
                vec![(40.0, 10.0, Some(20.0)), (70.0, 10.0, None)],
                vec![(5.0, 10.0, None)],
                vec![(6.0, 10.0, Some(20.0)), (70.0, 10.0, None)],
                vec![(40.0, 30.0, None)],
            ]
        );
        let tile = &config.folders[0].recipe().unwrap().marks[1];
        let spacing = Length::Pixels(3);
        assert_eq!(tile.position, Position::Tile { spacing });
        assert_eq!((tile.margin, tile.min_picture), (Length::Pixels(1), 9));
    }

    /// The comment in the example says how: `#` before `npy_path`, none before the list.
    #[test]
    fn the_list_of_marks_in_the_example_can_be_uncommented() {
        let sandbox = Sandbox::new();
        for name in ["logo.npy", "text.npy"] {
            fs::copy(sandbox.path("mark.npy"), sandbox.path(name)).unwrap();
        }
        let text = EXAMPLE
            .replacen("\n  npy_path:", "\n  #npy_path:", 1)
            .replace("\n  #marks:", "\n  marks:")
            .replace("\n  #  - {", "\n    - {");
        let config = sandbox.good(&text);
        let recipe = config.folders[0].recipe().unwrap();
        assert_eq!(recipe.marks.len(), 2);
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            "watermark: {npy_path: mark, output_height: 720.0, quality: 5e1, margin: 3.0}\n\
             folders: [{input: in}]\nmax_pixels: 1e8\nmax_memory: 1e9\nworkers: 3.0\n",
        );
        let recipe = &config.folders[0].recipe().unwrap();
        assert_eq!((recipe.size, recipe.quality), (Size::Height(720), 50));
        assert_eq!(recipe.marks[0].margin, Length::Pixels(3));
        assert_eq!(recipe.max_pixels, 100_000_000);
        assert_eq!(config.max_memory, Some(1_000_000_000));
        assert_eq!(config.workers.get(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_has_one_path_however_the_file_is_named() {
        let sandbox = Sandbox::new();
        let text = "watermark: {npy_path: mark}\nfolders:\n- {input: in, output: b/../out}\n\
                    - {input: link/../sub, output: gone/../x/in/..}\nledger: ./in/sub/../../l/l\n";
        fs::write(sandbox.path("config.yaml"), text).unwrap();
        std::os::unix::fs::symlink("in/sub", sandbox.path("link")).unwrap();
        let real = sandbox.0.path().canonicalize().unwrap();
        for way in ["", "in/sub/../..", "b/..", "./in/.."] {
            let file = sandbox.path(way).join("config.yaml");
            for config in [load(&file).unwrap(), understand(&file).config] {
                // What has no ".." keeps its spelling, links and all.
                let base = if way.is_empty() {
                    sandbox.0.path()
                } else {
                    &real
                };
                assert_eq!(config.file, base.join("config.yaml"));
                let [plain, odd] = &config.folders[..] else {
                    panic!("{:?}", config.folders);
                };
                assert_eq!(plain.input, base.join("in"));
                assert_eq!(plain.output, real.join("out"));
                // A link is followed before "..", as the system does.
                assert_eq!(odd.input, real.join("in/sub"));
                assert_eq!(odd.output, real.join("x"));
                assert_eq!(config.ledger, real.join("l/l"));
            }
        }
    }

    #[test]
    fn spacing_belongs_to_tiles() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            "watermark: {npy_path: mark, position: tile, spacing: 7.5%}\nfolders:\n\
             - {input: in}\n- {input: b, watermark: {spacing: 12}}\n",
        );
        let found = config.folders.iter();
        let found: Vec<_> = found
            .map(|f| f.recipe().unwrap().marks[0].position)
            .collect();
        let tile = |spacing| Position::Tile { spacing };
        let wanted = [Length::Percent(7.5), Length::Pixels(12)].map(tile);
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_original_form_is_one_folder() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            "watermark:\n  input_folder: in\n  npy_path: mark.npy\n  opacity: 60\n  \
             quality: 40\n  output_height: 720\nworkers: 3\n",
        );
        let [folder] = &config.folders[..] else {
            panic!("{:?}", config.folders);
        };
        assert_eq!(folder.input, sandbox.path("in"));
        assert_eq!(folder.output, sandbox.path("in/output"));
        let recipe = folder.recipe().unwrap();
        assert_eq!((recipe.quality, recipe.size), (40, Size::Height(720)));
        assert_eq!((recipe.marks[0].opacity, config.workers.get()), (60.0, 3));
    }

    /// Each file with all that is reported of it, the name of the file left out.
    const BAD: &[(&str, &[&str])] = &[
        (
            "",
            &[": folders: required, but missing (or watermark.input_folder for a single folder)"],
        ),
        (
            "# nothing\n",
            &[": folders: required, but missing (or watermark.input_folder for a single folder)"],
        ),
        (
            "- in\n",
            &[
                ": must be a mapping, found a list",
                ": folders: required, but missing (or watermark.input_folder for a single folder)",
            ],
        ),
        (
            "watermark:\n  quality: 30\n quality: 3\n",
            &[":3:2: did not find expected key, while parsing a block mapping"],
        ),
        (
            "watermark: {npy_path: mark}\n",
            &[": folders: required, but missing (or watermark.input_folder for a single folder)"],
        ),
        (
            "watermark: {npy_path: mark}\nfolders: []\n",
            &[":2: folders: must have at least one folder"],
        ),
        (
            "watermark: {input_folder: in, npy_path: mark}\nfolders: [{input: b}]\n",
            &[":1: watermark.input_folder: cannot be combined with folders: name it there"],
        ),
        (
            "watermark:\n  input_folder: in\n",
            &[":1: watermark.npy_path: required, but missing (or text, for a mark that is a text)"],
        ),
        (
            "folders:\n  - output: out\n  - input: in\n    watermark: {npy_path: mark}\n",
            &[
                ":2: folders[0].input: required, but missing",
                ":2: folders[0].watermark.npy_path: required, but missing (or text, for a mark that is a text)",
            ],
        ),
        // Ranges, types and spelling, all at once and in the order of the lines.
        (
            r#"
setle: 1s
watermark:
  npy_path: mark
  opacity: 100.5
  output_height: 0
  quality: 130
  quality: 30
  output_quality: high
  chroma: 422
  upscale: "yes"
  position: middle
  margin: 51%
  min_picture: -1
  qualty: 3
folders:
  - input: in
    recursive: 1
    watch: always
    ignore: ["*.a", "[", 3]
    watermark:
      opacity: .nan
      input_folder: b
  - input: b
    watermark: 7
    1: 2
workers: 0
settle: 2
settle_closed: 61m
poll: 99ms
rescan: fast
max_pixels: 0
retry: {first: 1s, max: 500ms}
ledger: 5
log:
  rotation: minutely
  keep: 0
  level: INFO
  format: xml
  console:
  colour: true
status: {listen: here}
"#,
            &[
                ":2: setle: unknown key, did you mean settle?",
                ":5: watermark.opacity: must be 0..100, found 100.5",
                ":6: watermark.output_height: must be 1..65500, found 0",
                ":7: watermark.quality: must be 1..100, found 130",
                ":8: watermark.quality: duplicate key",
                ":9: watermark.output_quality: must be a whole number 1..100, found \"high\"",
                ":10: watermark.chroma: must be auto, 420 or 444, found 422",
                ":11: watermark.upscale: must be true or false, found \"yes\"",
                ":12: watermark.position: must be top-left, top, top-right, left, center, right, \
             bottom-left, bottom, bottom-right or tile, found \"middle\"",
                ":13: watermark.margin: must be pixels 0..65500 or \"0%\"..\"50%\", found \"51%\"",
                ":14: watermark.min_picture: must be 0..65500, found -1",
                ":15: watermark.qualty: unknown key, did you mean quality?",
                ":18: folders[0].recursive: must be true or false, found 1",
                ":19: folders[0].watch: must be auto, events or poll, found \"always\"",
                ":20: folders[0].ignore[1]: error parsing glob '[': unclosed character class; \
             missing ']'",
                ":20: folders[0].ignore[2]: must be a text, found 3",
                ":22: folders[0].watermark.opacity: must be 0..100, found NaN",
                ":23: folders[0].watermark.input_folder: unknown key, known here are chroma, color, font, \
                 long_edge, margin, marks, metadata, min_picture, npy_path, opacity, outline, output_height, \
                 output_quality, output_width, position, quality, resample, rotate, scale, shadow, sharpen, short_edge, size, \
                 spacing, text, upscale",
                ":25: folders[1].watermark: must be a mapping, found 7",
                ":26: folders[1].1: unknown key, known here are after, give_up, ignore, input, on_conflict, \
                 on_failure, output, prune_empty, recursive, renditions, watch, watermark",
                ":27: workers: must be 1..1024, found 0",
                ":28: settle: must be a duration such as 500ms, 2s, 5m, 1h or 30d, found 2",
                ":29: settle_closed: must be 0s..1h, found \"61m\"",
                ":30: poll: must be 100ms..1y, found \"99ms\"",
                ":31: rescan: must be a duration such as 500ms, 2s, 5m, 1h or 30d, found \"fast\"",
                ":32: max_pixels: must be 1..4000000000, found 0",
                ":33: retry.max: must be at least retry.first, 1s, found 500ms",
                ":34: ledger: must be a path, found 5",
                ":36: log.rotation: must be hourly, daily or never, found \"minutely\"",
                ":37: log.keep: must be 1..10000, found 0",
                ":38: log.level: must be trace, debug, info, warn or error, found \"INFO\"; did you mean info?",
                ":39: log.format: must be text or json, found \"xml\"",
                ":40: log.console: must be true or false, found nothing",
                ":41: log.colour: unknown key, known here are console, dir, format, keep, level, max_total, \
             rotation",
                ":42: status.listen: must be null or an address such as 127.0.0.1:9470, \
             found \"here\"",
            ],
        ),
        // Lists of marks.
        (
            r"
watermark:
  npy_path: mark
  marks:
    - {npy_path: mark, opacity: 101}
    - {scale: 0%, quality: 3}
folders:
  - {input: in, watermark: {marks: []}}
  - {input: b, watermark: {marks: mark.npy}}
",
            &[
                ":4: watermark.marks: cannot be combined with npy_path: name it in the entries",
                ":5: watermark.marks[0].opacity: must be 0..100, found 101",
                ":6: watermark.marks[1].scale: must be none, \"20%\", \"20% of width\" or \"20% of height\", above 0% and up to 1000%, found \"0%\"",
                ":6: watermark.marks[1].quality: unknown key, known here are color, font, \
                 margin, min_picture, npy_path, opacity, outline, position, rotate, scale, shadow, size, spacing, text",
                ":9: folders[1].watermark.marks: must be a list of marks, found \"mark.npy\"",
            ],
        ),
        (
            "watermark:\n  marks:\n  - {opacity: 3}\n  - 7\nfolders: [{input: in}]\n",
            &[
                ":3: watermark.marks[0].npy_path: required, but missing (or text, for a mark that is a text)",
                ":4: watermark.marks[1]: must be a mapping, found 7",
                ":4: watermark.marks[1].npy_path: required, but missing (or text, for a mark that is a text)",
            ],
        ),
        // Numbers that only look whole, and paths that are meant for a shell.
        (
            r#"
watermark: {npy_path: $HOME/mark, output_height: 1080.5, quality: 101.0, margin: 1e300}
folders:
  - {input: ~/in, output: "~", after: {move_to: ""}, on_failure: {}}
  - {input: b, output: "${OUT}", after: [keep]}
  - {input: "b\0"}
max_memory: .inf
workers: 0.5
"#,
            &[
                ":2: watermark.npy_path: \"$HOME/mark\" would be taken literally, as ~ and $NAME \
             are not expanded: write the path out",
                ":2: watermark.output_height: must be a whole number 1..65500, found 1080.5",
                ":2: watermark.quality: must be 1..100, found 101.0",
                ":2: watermark.margin: must be pixels 0..65500 or \"0%\"..\"50%\", found 1e300",
                ":4: folders[0].input: \"~/in\" would be taken literally, as ~ and $NAME are not \
             expanded: write the path out",
                ":4: folders[0].output: \"~\" would be taken literally, as ~ and $NAME are not \
             expanded: write the path out",
                ":4: folders[0].after.move_to: must be a path, found \"\"",
                ":4: folders[0].on_failure: must be keep or {move_to: FOLDER}, found a mapping",
                ":5: folders[1].output: \"${OUT}\" would be taken literally, as ~ and $NAME are not \
             expanded: write the path out",
                ":5: folders[1].after: must be keep, delete or {move_to: FOLDER}, found a list",
                ":6: folders[2].input: must be a path, found \"b\\0\"",
                ":7: max_memory: must be auto, or a size such as 512MB or 2GiB, found inf",
                ":8: workers: must be auto or 1..1024, found 0.5",
            ],
        ),
        // What comes later is told apart from what is wrong.
        (
            r#"
watermark:
  npy_path: mark
  metadata: copyright
folders:
  - input: in
    after: {move_to: []}
    on_failure: {move_to: failed, then: x}
  - input: b
    after: {move: done}
    on_failure: delete
    watermark: {metadata: all, scale: 2, rotate: left}
max_memory: 512
ledger: postgres://user:secret@host/db
status: {listen: "127.0.0.1:9470"}
"#,
            &[
                ":7: folders[0].after.move_to: must be a path, found a list",
                ":8: folders[0].on_failure.then: unknown key, known here are move_to",
                ":10: folders[1].after.move: unknown key, did you mean move_to?",
                ":11: folders[1].on_failure: must be keep or {move_to: FOLDER}, found \"delete\"",
                ":12: folders[1].watermark.metadata: must be keep, copyright or strip, found \"all\"",
                ":12: folders[1].watermark.scale: must be none, \"20%\", \"20% of width\" or \"20% of height\", above 0% and up to 1000%, found 2; write 2%",
                ":12: folders[1].watermark.rotate: must be a number of degrees, found \"left\"",
                ":13: max_memory: must be at least 16 MiB, found 512",
                ":14: ledger: postgres is not supported yet",
                ":15: status.listen: \"127.0.0.1:9470\" is not supported yet",
            ],
        ),
    ];

    #[test]
    fn a_size_replaces_the_outer_one_whole() {
        let sandbox = Sandbox::new();
        let (width, height) = (800, 600);
        for (outer, inner, expected) in [
            ("", "", Size::Height(1080)),
            ("output_width: 800", "", Size::Width(800)),
            ("output_height: 600", "output_width: 800", Size::Width(800)),
            (
                "output_height: 600, output_width: 800",
                "",
                Size::Box { width, height },
            ),
            (
                "output_height: 600, output_width: 800",
                "long_edge: 7",
                Size::LongEdge(7),
            ),
            (
                "long_edge: 7",
                "output_height: 600, output_width: 800",
                Size::Box { width, height },
            ),
            ("long_edge: 7", "short_edge: 8.0", Size::ShortEdge(8)),
            ("long_edge: 7", "output_height: original", Size::Original),
            ("output_width: original", "", Size::Original),
        ] {
            let text = format!(
                "watermark: {{npy_path: mark, {outer}}}\nfolders: [{{input: in, watermark: {{{inner}}}}}]\n"
            );
            let config = sandbox.good(&text);
            assert_eq!(
                config.folders[0].recipe().unwrap().size,
                expected,
                "{outer} / {inner}"
            );
        }
        for (keys, cause) in [
            (
                "long_edge: 7, short_edge: 8",
                "watermark.short_edge: cannot be combined with long_edge: a size is output_width, \
                 output_height or both, long_edge, or short_edge",
            ),
            (
                "output_width: original, output_height: 5",
                "watermark.output_height: cannot be combined with output_width",
            ),
            (
                "long_edge: 0",
                "watermark.long_edge: must be 1..65500, found 0",
            ),
            (
                "output_width: large",
                "must be 1..65500, or original, found \"large\"",
            ),
        ] {
            let told = sandbox.bad(&format!(
                "watermark: {{npy_path: mark, {keys}}}\nfolders: [{{input: in}}]\n"
            ));
            assert!(told.contains(cause), "{told}");
        }
    }

    #[test]
    fn renditions_take_what_they_do_not_say_from_their_folder() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            "watermark: {npy_path: mark, long_edge: 9, opacity: 50}
folders:
  - input: in
    watermark: {output_quality: 70}
    renditions:
      - {}
      - {to: web/large/, name: \"{stem}_w.jpg\", output_height: 8}
      - {to: thumb, name: \"{date}.png\", marks: [], output_quality: 60}
  - {input: b}
",
        );
        let folder = &config.folders[0];
        let found: Vec<_> = folder
            .renditions
            .iter()
            .map(|one| {
                let recipe = &one.recipe;
                let opacity = recipe.marks.first().map(|mark| mark.opacity);
                (
                    one.to.to_str().unwrap(),
                    one.name.text(),
                    one.format,
                    recipe.size,
                    recipe.output_quality,
                    opacity,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("", "{stem}.{ext}", None, Size::LongEdge(9), 70, Some(50.0)),
                (
                    "web/large",
                    "{stem}_w.jpg",
                    Some(Format::Jpeg),
                    Size::Height(8),
                    70,
                    Some(50.0)
                ),
                (
                    "thumb",
                    "{date}.png",
                    Some(Format::Png),
                    Size::LongEdge(9),
                    60,
                    None
                ),
            ]
        );
        assert!(!folder.keeps_names() && config.folders[1].keeps_names());
        assert_ne!(folder.recipe_id, config.folders[1].recipe_id);
        assert_eq!(
            config.folders[1].recipe_id,
            config.folders[1].recipe().unwrap().fingerprint()
        );
    }

    #[test]
    fn a_rendition_with_a_mistake_is_refused() {
        let sandbox = Sandbox::new();
        for (entries, cause) in [
            (
                "[]",
                "folders[0].renditions: must have 1..16 renditions, found 0",
            ),
            (
                "5",
                "folders[0].renditions: must be a list of renditions, found 5",
            ),
            (
                "[5]",
                "folders[0].renditions[0]: must be a mapping, found 5",
            ),
            (
                "[{to: ../a}]",
                "renditions[0].to: must be a folder below the output, such as web",
            ),
            ("[{to: /a}]", "must be a folder below the output"),
            ("[{to: .a}]", "must be a folder below the output"),
            ("[{name: a}]", "renditions[0].name: must end with .jpg"),
            ("[{name: \"{stem}.gif\"}]", "not .gif"),
            ("[{tu: a}]", "renditions[0].tu: unknown key"),
            (
                "[{to: a}, {}, {to: a/}]",
                "renditions[2]: has the folder and the name of renditions[0]",
            ),
        ] {
            let told = sandbox.bad(&format!(
                "watermark: {{npy_path: mark}}\nfolders: [{{input: in, renditions: {entries}}}]\n"
            ));
            assert!(told.contains(cause), "{entries}: {told}");
        }
        let told = sandbox.bad(
            "watermark: {npy_path: mark}\nfolders: [{input: in, output: out, renditions: [{to: x}]}, {input: b, output: out/x}]\n",
        );
        assert!(
            told.contains("folders[1].output: lies inside folders[0].output"),
            "{told}"
        );
        let told = sandbox.bad("folders: [{input: in, renditions: [{to: a}]}]\n");
        assert!(
            told.contains(
                "renditions[0].npy_path: required, but missing (or text, for a mark that is a text)"
            ),
            "{told}"
        );
    }

    #[test]
    fn a_mark_may_be_a_text() {
        let sandbox = Sandbox::new();
        let config = sandbox.good(
            "watermark: {text: \"© {date:%Y} Jane\", size: 5%, color: \"#ff000080\", outline: \"4%,#00ff00\",
  shadow: \"2,-3%\", scale: 20%, position: bottom-right}
folders:
  - input: in
  - {input: b, watermark: {npy_path: mark}}
  - {input: c, watermark: {marks: [{npy_path: mark}, {size: 12, outline: null, text: \"{artist}\"}]}}
",
        );
        let texts = |folder: usize| {
            let marks = &config.folders[folder].recipe().unwrap().marks;
            let text = |placed: &PlacedMark| match &placed.mark {
                Subject::Text(text) => Some(Arc::clone(text)),
                Subject::Image(_) => None,
            };
            marks.iter().map(text).collect::<Vec<_>>()
        };
        let [Some(text)] = &texts(0)[..] else {
            panic!()
        };
        assert_eq!(text.template.text(), "© {date:%Y} Jane");
        assert_eq!(
            (text.size, text.colour),
            (Length::Percent(5.0), [255, 0, 0, 128])
        );
        assert_eq!(
            text.outline,
            Some((Relative::Percent(4.0), [0, 255, 0, 255]))
        );
        let by = (Relative::Pixels(2.0), Relative::Percent(-3.0));
        assert_eq!(text.shadow, Some((by, [0, 0, 0, 128])));
        assert_eq!(config.folders[0].recipe().unwrap().marks[0].scale, None);
        assert!(matches!(&texts(1)[..], [None]));
        let [None, Some(text)] = &texts(2)[..] else {
            panic!()
        };
        assert_eq!((text.size, text.outline), (Length::Pixels(12), None));
    }

    #[test]
    fn a_text_with_a_mistake_is_refused() {
        let sandbox = Sandbox::new();
        for (keys, cause) in [
            (
                "text: x, npy_path: mark",
                "watermark.text: cannot be combined with npy_path: a mark is a file or a text",
            ),
            (
                "text: x, marks: []",
                "watermark.marks: cannot be combined with text: name it in the entries",
            ),
            ("text: \"\"", "watermark.text: must be a text, found \"\""),
            ("text: \"{who}\"", "watermark.text: {who} is no field"),
            (
                "text: \"\u{4e00}\"",
                "watermark.text: the font has no character",
            ),
            (
                "text: x, font: mark.npy",
                "watermark.text: the font is not understood",
            ),
            ("text: x, font: no.ttf", "no.ttf: No such file"),
            (
                "text: x, size: 3",
                "watermark.size: must be pixels 4..1000, or above \"0%\" and up to \"50%\", found 3",
            ),
            ("text: x, size: 51%", "watermark.size: must be"),
            (
                "text: x, color: red",
                "watermark.color: must be a colour in quotes",
            ),
            (
                "text: x, outline: \"4%,red\"",
                "watermark.outline: must be null, or a width",
            ),
            ("text: x, outline: 101", "watermark.outline: must be null"),
            (
                "text: x, shadow: 3",
                "watermark.shadow: must be null, or two distances",
            ),
        ] {
            let told = sandbox.bad(&format!(
                "watermark: {{{keys}}}\nfolders: [{{input: in}}]\n"
            ));
            assert!(told.contains(cause), "{keys}: {told}");
        }
    }

    #[test]
    fn a_scale_is_of_the_side_that_it_names() {
        let sandbox = Sandbox::new();
        let scaled = |text: &str| {
            format!("watermark: {{npy_path: mark, scale: {text}}}\nfolders: [{{input: in}}]\n")
        };
        for (text, side) in [
            ("20%", Side::Shorter),
            ("20% of width", Side::Width),
            ("20% of height", Side::Height),
        ] {
            let config = sandbox.good(&scaled(text));
            let scale = config.folders[0].recipe().unwrap().marks[0].scale;
            let percent = 20.0;
            assert_eq!(scale, Some(Scale { percent, side }), "{text}");
        }
        for text in [
            "20% of",
            "20% width",
            "20% of depth",
            "0% of width",
            "20 of width",
        ] {
            sandbox.bad(&scaled(text));
        }
    }

    #[test]
    fn what_is_nearly_right_is_answered_with_what_is() {
        let sandbox = Sandbox::new();
        let text = "\
watermark:
  npy_path: mark
  Output_Width: 3
  longest_edge: 3
  jpeg_quality: 80
  position: bottom_right
  scale: 20
Log: {Dir: log}
log: {Dir: log}
retry: {Max: 5m}
folders: [{Input: in}]
";
        let told = sandbox.bad(text);
        for part in [
            ":3: watermark.Output_Width: unknown key, did you mean output_width?",
            ":4: watermark.longest_edge: unknown key, did you mean long_edge?",
            ":5: watermark.jpeg_quality: unknown key, did you mean output_quality?",
            "found \"bottom_right\"; did you mean bottom-right?",
            "found 20; write 20%",
            ":8: Log: unknown key, did you mean log?",
            ":9: log.Dir: unknown key, did you mean dir?",
            ":10: retry.Max: unknown key, did you mean max?",
            ":11: folders[0].Input: unknown key, did you mean input?",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        let told = sandbox.bad("watermark:\n\tnpy_path: mark\n");
        assert!(
            told.contains("a tab stands here: indent with blanks"),
            "{told}"
        );
        let config = sandbox.good(&format!("\u{feff}{MINIMAL}max_memory: 512M\n"));
        assert_eq!(config.max_memory, Some(512 << 20));
    }

    #[test]
    fn all_that_is_wrong_with_a_file_is_reported_with_its_line() {
        let sandbox = Sandbox::new();
        for (text, problems) in BAD {
            let expected: Vec<String> = problems
                .iter()
                .map(|problem| format!("config.yaml{problem}"))
                .collect();
            assert_eq!(sandbox.bad(text), expected.join("\n"), "of\n{text}");
        }
    }

    #[test]
    fn a_mark_is_found_wrong_once_and_where_it_is_named() {
        let sandbox = Sandbox::new();
        let text = "watermark:\n  npy_path: gone\nfolders:\n- input: in\n- input: b\n  \
                    watermark:\n    npy_path: config.yaml\n";
        let problems = sandbox.load(text).unwrap_err().problems;
        let [gone, no_mark] = &problems[..] else {
            panic!("{problems:?}");
        };
        let at = |problem: &Problem| (problem.line, problem.key.clone());
        assert_eq!(at(gone), (Some(2), "watermark.npy_path".to_owned()));
        assert!(gone.cause.contains("gone"), "{gone:?}");
        let key = "folders[1].watermark.npy_path";
        assert_eq!(at(no_mark), (Some(7), key.to_owned()));
    }

    #[test]
    fn what_is_no_text_or_no_single_document_is_refused_with_its_line() {
        let sandbox = Sandbox::new();
        let file = sandbox.path("config.yaml");
        for (bytes, told) in [
            (&b"a: b\nc: \xc3\xa9\xff\n"[..], ":2:5: not UTF-8"),
            (b"\xff\xfea\0", ": is UTF-16: save it as UTF-8"),
            (
                b"a: 1\n---\nb: 1\n",
                ":3: a second document begins, and there must be one only",
            ),
        ] {
            fs::write(&file, bytes).unwrap();
            let error = load(&file).unwrap_err().to_string();
            assert_eq!(error, format!("{}{told}", file.display()));
        }
        let with_mark = format!("\u{feff}---\n{MINIMAL}");
        sandbox.good(&with_mark);
    }

    #[test]
    fn a_ledger_is_nowhere_among_pictures() {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("log"), "").unwrap();
        let rest = "watermark: {npy_path: mark}\nfolders:\n\
                    - {input: in, output: out}\n\
                    - {input: b, output: out2, recursive: true, after: {move_to: done}}\n";
        let in_folder = |key: &str| {
            format!("lies in the folder of {key}, among pictures: name a file elsewhere")
        };
        let ends = |name: &str| {
            format!("must not end in .{name}, as pictures, marks and configurations do")
        };
        for (ledger, cause) in [
            ("in/l", in_folder("folders[0].input")),
            ("out/l.sqlite", in_folder("folders[0].output")),
            ("b/x/l", in_folder("folders[1].input")),
            ("done/x/l", in_folder("folders[1].after")),
            ("x/a.JPG", ends("jpg")),
            ("mark.npy", ends("npy")),
            ("config.yaml", ends("yaml")),
            ("c", "c is a folder: name a file".to_owned()),
        ] {
            let found = sandbox.bad(&format!("{rest}ledger: {ledger}\n"));
            assert_eq!(found, format!("config.yaml:5: ledger: {cause}"));
        }
        sandbox.good(&format!("{rest}ledger: in/sub/l\n"));
        let found = sandbox.bad(&format!("{rest}ledger: l\nlog: {{dir: log}}\n"));
        assert_eq!(found, "config.yaml:6: log.dir: log is not a folder");
    }

    #[test]
    fn what_a_start_would_wait_with_is_refused_by_a_strict_look() {
        let sandbox = Sandbox::new();
        let text = "watermark: {npy_path: mark}\nledger: mark.npy/x/l\nfolders:\n\
                    - input: no/in\n- input: b\n  output: no/out\n  after: {move_to: no/done}\n";
        sandbox.good(text);
        let strictly = || load_strictly(&sandbox.path("config.yaml"));
        let error = strictly().unwrap_err();
        let dir = sandbox.0.path().join("").display().to_string();
        assert_eq!(
            error.to_string().replace(&dir, "").replace('\\', "/"),
            "config.yaml:2: ledger: mark.npy is not a folder\n\
             config.yaml:6: folders[1].output: no/out is missing, and so is its parent\n\
             config.yaml:7: folders[1].after: no/done is missing, and so is its parent"
        );
        // The daemon waits for an input, whatever is missing of it.
        let text =
            "watermark: {npy_path: mark}\nfolders:\n- input: no/in\n- input: b/in\n- input: c\n";
        sandbox.good(text);
        let (_, warnings) = strictly().unwrap();
        let told = warnings.iter().map(|warning| {
            let told = warning.in_file(Path::new("c")).replace(&dir, "");
            told.replace('\\', "/")
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "c:3: folders[0].input: no/in is missing, and so is its parent; it is waited for",
                "c:4: folders[1].input: b/in is missing; it is waited for",
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = load(Path::new("gone/config.yaml")).unwrap_err();
        let cause = fs::metadata("gone/config.yaml").unwrap_err();
        let expected = format!("gone/config.yaml: cannot read: {cause}");
        assert_eq!(error.to_string(), expected);
    }
}
