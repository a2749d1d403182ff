//! The examples at the end of each command's `--help`, which the man page repeats.

pub const FIRST_STEPS: &str = "\
Examples:
  watermarkd apply photo.jpg -o marked --text '© Jane Doe'

  A folder that is watched:
  watermarkd init demo
  watermarkd run -c demo/config.yaml

  Then copy a picture into demo/in and look into demo/out.";

pub const APPLY: &str = "\
Examples:
  watermarkd apply photo.jpg -o marked --text '© Jane Doe'

  A folder with its subfolders, a logo, for the web:
  watermarkd apply wedding -r -o web --mark logo.png --output-height 1080

  A logo in its own pixels, 30 pixels from the upper left corner, half transparent:
  watermarkd apply *.jpg -o marked --mark logo.png --scale none --position top-left --margin 30 --opacity 50

  With the recipe of a configuration:
  watermarkd apply photo.jpg -o marked -c /srv/pictures/config.yaml";

pub const RUN: &str = "\
Examples:
  Watch the folders of a configuration:
  watermarkd run -c /srv/pictures/config.yaml

  Process what is there now, then exit:
  watermarkd run --once -c /srv/pictures/config.yaml";

pub const CHECK: &str = "\
Examples:
  watermarkd check -c /srv/pictures/config.yaml

  With the rights of the service, as root:
  watermarkd check --user watermarkd";

pub const INIT: &str = "\
Examples:
  watermarkd init demo
  watermarkd init demo --text '© Jane Doe'

  The new form of an old file:
  watermarkd init /srv/pictures --from-python config.yaml";

pub const SERVICE: &str = "\
Examples:
  watermarkd service install
  watermarkd service status";

pub const SERVICE_UNINSTALL: &str = "\
Examples:
  watermarkd service uninstall";

pub const SERVICE_START: &str = "\
Examples:
  watermarkd service start";

pub const SERVICE_STOP: &str = "\
Examples:
  watermarkd service stop";

pub const SERVICE_RELOAD: &str = "\
Examples:
  Hold a change to its rules first:
  watermarkd check
  watermarkd service reload";

pub const SERVICE_STATUS: &str = "\
Examples:
  watermarkd service status";

pub const SERVICE_INSTALL: &str = "\
Examples:
  See what an installation would do:
  watermarkd service install --dry-run

  Install it for the machine, as root, with a configuration of its own in /etc/watermarkd:
  watermarkd service install

  Install it for yourself, with your configuration:
  watermarkd service install --user -c ~/pictures/config.yaml";

pub const MARK: &str = "\
Examples:
  Half-transparent white text with a thin black outline:
  watermarkd mark text \"Jane Doe\" --size 48 --color '#ffffff80' --outline 2 -o mark.npy

  A logo:
  watermarkd mark image logo.png -o mark.npy";

pub const STATUS: &str = "\
Examples:
  watermarkd status
  watermarkd status --watch
  watermarkd status --json | jq .folders[0].failed";

pub const EXPLAIN: &str = "\
Examples:
  watermarkd explain in/photo.jpg
  watermarkd explain in/2024
  watermarkd explain --json in/photo.jpg | jq -r .fate";

pub const RELOAD: &str = "\
Examples:
  watermarkd reload
  watermarkd reload -c /srv/pictures/config.yaml";

pub const STOP: &str = "\
Examples:
  watermarkd stop -c /srv/pictures/config.yaml";

pub const RETRY: &str = "\
Examples:
  watermarkd retry in/photo.jpg in/other.jpg
  watermarkd retry --failed";

pub const REPROCESS: &str = "\
Examples:
  After a change of the recipe, process everything again that was done with the old one:
  watermarkd reprocess --dry-run
  watermarkd reprocess --all

  One picture:
  watermarkd reprocess in/photo.jpg";

pub const PREVIEW: &str = "\
Examples:
  watermarkd preview photo.jpg -o /tmp/preview.jpg";

pub const COMPLETIONS: &str = "\
Examples:
  watermarkd completions bash > ~/.local/share/bash-completion/completions/watermarkd";

pub const MAN: &str = "\
Examples:
  watermarkd man | man -l -
  watermarkd man --dir /usr/local/share/man/man1";
