use std::fs;

use super::{
    pictures::{jpeg, png, size},
    sandbox::Sandbox,
};

#[test]
fn init_makes_a_folder_in_which_run_works_at_once() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(&["init", "demo"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    sandbox.write("demo/in/a.jpg", &jpeg(90, 60, 1));
    for arguments in [
        &["check", "-c", "demo/config.yaml"][..],
        &["run", "--once", "-c", "demo/config.yaml"],
    ] {
        let output = sandbox
            .command(arguments)
            .env("STATE_DIRECTORY", sandbox.path("state"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(
        size(&fs::read(sandbox.path("demo/out/a.jpg")).unwrap()),
        (90, 60),
        "it was enlarged"
    );
    let sample = fs::read(sandbox.path("demo/in/sample.jpg")).unwrap();
    let marked = fs::read(sandbox.path("demo/out/sample.jpg")).unwrap();
    assert_eq!(size(&sample), size(&marked));
    let text = fs::read_to_string(sandbox.path("demo/config.yaml")).unwrap();
    for line in [
        "quality: 100",
        "output_quality: 90",
        "upscale: false",
        "scale: 20%",
    ] {
        assert!(text.contains(&format!("\n  {line}\n")), "{line}: {text}");
    }
    let again = sandbox.command(&["init", "demo"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("exists"),
        "{again:?}"
    );
}

#[test]
fn an_old_file_is_written_in_the_new_form_with_the_same_results() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("old \"drop\"")).unwrap();
    sandbox.write(
        "old.yaml",
        b"watermark:\n  npy_path: mark\n  input_folder: 'old \"drop\"'\n  opacity: 60\n  output_height: 48\n",
    );
    fs::rename(sandbox.path("mark.npy"), sandbox.path("mark.npy.kept")).unwrap();
    fs::copy(sandbox.path("mark.npy.kept"), sandbox.path("mark.npy")).unwrap();
    let arguments = ["init", "new", "--from-python", "old.yaml"];
    let output = sandbox.command(&arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(told.contains("reduced to quality 30"), "{told}");
    sandbox.write("old \"drop\"/a.jpg", &jpeg(30, 20, 1));
    let mut results = Vec::new();
    for config in ["old.yaml", "new/config.yaml"] {
        let arguments = ["run", "--once", "-c", config];
        let output = sandbox.command(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let made = sandbox.path("old \"drop\"/output/a.jpg");
        results.push(fs::read(&made).unwrap());
        fs::remove_file(made).unwrap();
    }
    assert_eq!(size(&results[0]), (72, 48));
    assert!(results[0] == results[1], "the results differ");

    let arguments = ["init", "newer", "--from-python", "config.yaml"];
    let output = sandbox.command(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(!sandbox.path("newer").exists());
}

#[test]
fn a_configuration_in_the_current_folder_is_found_last() {
    let sandbox = Sandbox::new();
    let check = |place: &str| {
        let mut command = sandbox.command(&["check"]);
        command.current_dir(sandbox.path(place));
        command.env_remove("WATERMARKD_CONFIG");
        command.env("XDG_CONFIG_HOME", sandbox.path("nowhere"));
        command.output().unwrap()
    };
    fs::create_dir(sandbox.path("empty")).unwrap();
    let output = check("empty");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{told}");
    for part in [
        "no ./watermarkd.yaml, no ./config.yaml",
        "-c FILE",
        "`watermarkd init DIR`",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let output = check("");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("config.yaml: fine"), "{output:?}");
    fs::copy(sandbox.path("config.yaml"), sandbox.path("watermarkd.yaml")).unwrap();
    let told = String::from_utf8_lossy(&check("").stdout).into_owned();
    assert!(told.contains("watermarkd.yaml: fine"), "{told}");
}

#[test]
fn a_mark_that_is_there_is_replaced_only_when_told_to() {
    let sandbox = Sandbox::new();
    let run = |more: &[&str]| {
        let arguments = [&["mark", "text", "© me", "-o", "own.npy"], more].concat();
        sandbox.command(&arguments).output().unwrap()
    };
    assert_eq!(run(&["-n"]).status.code(), Some(0));
    assert!(!sandbox.path("own.npy").exists());
    assert_eq!(run(&[]).status.code(), Some(0));
    let before = fs::read(sandbox.path("own.npy")).unwrap();
    let output = run(&["--size", "20"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("is there already; --force replaces it"),
        "{told}"
    );
    assert_eq!(fs::read(sandbox.path("own.npy")).unwrap(), before);
    assert_eq!(run(&["--size", "20", "--force"]).status.code(), Some(0));
    assert_ne!(fs::read(sandbox.path("own.npy")).unwrap(), before);
}

#[test]
fn what_is_most_likely_not_meant_is_warned_of() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, watermark: {opacity: 0.6}}]\n");
    let output = sandbox.command(&["check"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("warning: opacity is in percent: 0.6"),
        "{told}"
    );
}

#[test]
fn what_any_command_takes_stands_before_or_behind_it() {
    let sandbox = Sandbox::new();
    for arguments in [
        ["-c", "config.yaml", "check"],
        ["check", "-c", "config.yaml"],
    ] {
        let mut command = sandbox.command(&arguments);
        let output = command.env_remove("WATERMARKD_CONFIG").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let output = sandbox
        .command(&["init", "-c", "x", "demo"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!sandbox.path("demo").exists());
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    let output = sandbox.command(&["run", "--once", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert!(sandbox.path("out/a.jpg").exists());
}

#[test]
fn check_tells_how_each_folder_is_treated() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, watch: poll}]\n");
    let output = sandbox.command(&["check"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "watch: poll (as configured)",
        "out",
        "output_height 48",
        "quality 80",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!sandbox.path("state").exists(), "check leaves no traces");
}

#[test]
fn preview_treats_one_picture_and_touches_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.png", &png(90, 60, 1));
    let output = sandbox
        .command(&["preview", "in/a.png", "-o", "shown.jpg"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = fs::read(sandbox.path("shown.jpg")).unwrap();
    assert!(shown.starts_with(&[0xff, 0xd8]));
    assert_eq!(size(&shown), (72, 48));
    assert!(sandbox.names("out").is_empty() && !sandbox.path("state").exists());
    let onto_itself = sandbox
        .command(&["preview", "in/a.png", "-o", "in/a.png"])
        .output()
        .unwrap();
    assert_eq!(onto_itself.status.code(), Some(1), "{onto_itself:?}");
}

#[test]
fn marks_are_made_from_texts_and_pictures() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let output = sandbox.command(arguments).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let made = |name: &str| watermarkd::mark::load(&sandbox.path(name)).unwrap();

    let styled = [
        "mark",
        "text",
        "© me",
        "-o",
        "text.npy",
        "--size",
        "40",
        "--color",
        "#ff000080",
        "--outline",
        "2,#000000",
        "--shadow",
        "-300,3",
    ];
    let (code, told) = run(&styled);
    let mark = made("text.npy");
    let size = format!("text.npy: {}x{}\n", mark.width, mark.height);
    assert_eq!((code, told), (Some(0), size));
    let red = mark
        .rgba
        .chunks_exact(4)
        .filter(|p| **p == [255, 0, 0, 128]);
    assert!(red.count() > 100);

    sandbox.write("logo.png", &png(30, 20, 1));
    let (code, told) = run(&["mark", "image", "logo.png", "-f", "-o", "text.npy"]);
    assert_eq!((code, told.as_str()), (Some(0), "text.npy: 30x20\n"));
    assert_eq!(made("text.npy"), made("logo.png"));

    for (arguments, code, part) in [
        (&["text", "好", "-o", "no.npy"][..], 1, "no character '好'"),
        (
            &["text", "a", "-o", "no.npy", "--font", "gone.ttf"],
            1,
            "gone.ttf",
        ),
        (
            &["text", "a", "-o", "no.npy", "--font", "logo.png"],
            1,
            "logo.png: the font",
        ),
        (&["text", "a", "-o", "logo.png"], 1, "must end in .npy"),
        (&["text", "a", "-o", "no.npy", "--size", "3"], 2, "4..1000"),
        (
            &["text", "a", "-o", "no.npy", "--color", "red"],
            2,
            "#rrggbb",
        ),
        (&["image", "config.yaml", "-o", "no.npy"], 1, "config.yaml"),
    ] {
        let (found, told) = run(&[&["mark"], arguments].concat());
        assert_eq!(found, Some(code), "{arguments:?}: {told}");
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!sandbox.path("no.npy").exists());
}

#[test]
fn exit_codes_tell_usage_from_configuration() {
    let sandbox = Sandbox::new();
    #[cfg(unix)]
    sandbox.fifo("fifo");
    #[cfg(windows)]
    fs::create_dir(sandbox.path("fifo")).unwrap();
    for (arguments, config, code, told) in [
        (&["run", "--twice"][..], "", 2, "--twice"),
        (&["frobnicate"], "", 2, "frobnicate"),
        (&["run", "-c", "nowhere.yaml"], "", 78, "nowhere.yaml"),
        (
            &["check"],
            "watermark: {npy_path: mark.npy, qualty: 3}\nfolders: [{input: in}]\n",
            78,
            ":1: watermark.qualty",
        ),
        (
            &["run", "--once"],
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in, output: in}]\n",
            78,
            "the input itself",
        ),
        (
            &["check"],
            "watermark: {npy_path: fifo}\nfolders: [{input: in}]\n",
            78,
            "not a file",
        ),
        (
            &["run"],
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nstatus: {listen: \"127.0.0.1:1\"}\n",
            78,
            "not supported yet",
        ),
    ] {
        if !config.is_empty() {
            sandbox.write("config.yaml", config.as_bytes());
        }
        let output = sandbox.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(told), "{told} is not in {error}");
    }
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let sandbox = Sandbox::new();
    let told = |arguments: &[&str]| {
        let output = sandbox.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = told(&["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What is wrapped stands further to the right.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.contains(&"man"), "{help}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = told(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
        assert!(script.contains("once"), "{shell} lacks an option");
        assert!(!script.contains("trial"), "{shell} offers a hidden command");
    }
    let page = told(&["man"]);
    assert!(
        page.contains(".TH watermarkd 1") && page.contains("--once".replace('-', "\\-").as_str()),
        "{page}"
    );
    for section in [
        "CONFIGURATION",
        "FILES",
        "SIGNALS",
        "EXIT STATUS",
        "EXAMPLES",
    ] {
        let title = match section.split_once(' ') {
            Some(_) => format!("\n.SH \"{section}\"\n"),
            None => format!("\n.SH {section}\n"),
        };
        assert!(page.contains(&title), "{section}");
    }
    // Every line of the example configuration, as roff spells it.
    for line in include_str!("../../config.example.yaml").lines() {
        let spelt = line
            .replace('\\', "\\\\")
            .replace('-', "\\-")
            .replace('\'', "\\*(Aq");
        assert!(page.contains(&spelt), "{line}");
    }
    told(&["man", "--dir", "pages"]);
    for command in commands {
        let name = command.to_uppercase();
        assert!(
            page.contains(&format!(".SH \"WATERMARKD {name}")),
            "{command}\n{page}"
        );
        assert!(
            sandbox
                .path(format!("pages/watermarkd-{command}.1"))
                .exists()
        );
    }
    assert!(!page.contains("TRIAL") && !sandbox.path("pages/watermarkd-trial.1").exists());
}

#[test]
fn help_wraps_at_the_width_of_the_terminal_and_has_examples() {
    let sandbox = Sandbox::new();
    for command in [
        "run",
        "check",
        "status",
        "explain",
        "retry",
        "preview",
        "mark",
        "service install",
        "service uninstall",
        "service start",
        "service stop",
        "service reload",
        "service status",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = sandbox.command(&words);
        let output = { output }.env("COLUMNS", "60").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Examples:\n  "), "{help}");
        // Commands are not broken.
        let words = |line: &&str| !line.starts_with("  watermarkd ");
        for line in help
            .lines()
            .take_while(|line| *line != "Examples:")
            .filter(words)
        {
            assert!(line.chars().count() <= 60, "{line}\n{help}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_folder_is_the_same_from_wherever_the_configuration_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    let from_in = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        let command = command.current_dir(sandbox.path("in"));
        let output = command.args(["-c", "../config.yaml"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let table = from_in(&["run", "--once"]);
    assert!(table.starts_with("0 pictures"), "{table}{}", sandbox.tail());
    let told = from_in(&["explain", "a.jpg"]);
    assert!(told.contains("done"), "{told}");
    // No daemon runs.
    assert_eq!(
        sandbox.command(&["status"]).status().unwrap().code(),
        Some(3)
    );
    let told = from_in(&["status"]);
    assert!(
        told.contains("not running") && !told.contains(".."),
        "{told}"
    );
}

#[test]
fn every_problem_is_told_with_the_name_of_the_program() {
    let sandbox =
        Sandbox::with("folders: [{input: in, output: no/out, after: {move_to: no/done}}]\n");
    let output = sandbox.command(&["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    for (line, key) in lines.iter().zip(["folders[0].output", "folders[0].after"]) {
        assert!(line.starts_with("watermarkd: "), "{told}");
        assert!(line.contains(&format!(": {key}: ")), "{told}");
        assert!(line.ends_with("is missing, and so is its parent"), "{told}");
    }
}

#[test]
fn init_takes_folders_of_their_own() {
    let sandbox = Sandbox::new();
    let arguments = ["init", "demo", "--input", "drop here", "--output", "made"];
    let output = sandbox.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!sandbox.path("demo/in").exists() && !sandbox.path("demo/out").exists());
    sandbox.write("drop here/a.png", &png(64, 48, 1));
    let arguments = ["run", "--once", "-c", "demo/config.yaml"];
    let mut run = sandbox.command(&arguments);
    let output = run.env("STATE_DIRECTORY", sandbox.path("state"));
    let output = output.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(sandbox.path("made/a.png").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn an_installation_can_be_looked_at_first() {
    let sandbox =
        Sandbox::with("folders: [{input: in, output: new/out, after: {move_to: done}}]\n");
    let output = sandbox
        .command(&["service", "install", "--dry-run"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let steps = String::from_utf8(output.stdout).unwrap();
    let made = sandbox.path("done");
    for line in [
        &format!(
            "install -d -o watermarkd -g watermarkd -m 2775 {}",
            made.display()
        ),
        "cat > /etc/systemd/system/watermarkd.service.d/folders-of-config.conf <<'END'",
        &format!("BindPaths=-{}", made.display()),
        "systemctl restart watermarkd",
        &format!(
            "/usr/local/bin/watermarkd check -c {}",
            sandbox.path("config.yaml").display()
        ),
    ] {
        assert!(
            steps.lines().any(|step| step == line),
            "{line} is not in {steps}"
        );
    }
    assert!(!made.exists());
    // Where systemd runs, it is not for a test to install something.
    if !std::path::Path::new("/run/systemd/system").exists() {
        let output = sandbox.command(&["service", "install"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("systemd does not run here"), "{told}");
    }
    sandbox.write("config.yaml", b"nonsense: 1\n");
    let output = sandbox
        .command(&["service", "install", "--dry-run"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}
