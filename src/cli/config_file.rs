//! `-c FILE`, which most commands take.

use std::path::PathBuf;

use crate::config::{self, Config, ConfigError};

#[derive(Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file. Without it: $WATERMARKD_CONFIG, then config.yaml in
    /// $CONFIGURATION_DIRECTORY (set by systemd), in the user's configuration folder for watermarkd,
    /// or (Linux) in /etc/watermarkd; at last ./watermarkd.yaml and ./config.yaml.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    pub fn load(&self) -> Result<Config, ConfigError> {
        config::load(&config::locate(self.config.as_deref())?)
    }
}
