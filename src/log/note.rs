//! Lines about the log itself.

use std::time;

use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime as Timestamp},
};

use super::clock::Local;
use crate::config::LogFormat;

/// A line about the log itself, which cannot go the way of the others.
pub fn note(format: LogFormat, message: &str) -> String {
    // The message is ours but for the system's words in it, which need not be escaped to the letter.
    let message = message.replace(|c: char| c.is_control() || c == '"' || c == '\\', " ");
    match format {
        LogFormat::Text => {
            let now = Local::of(time::SystemTime::now());
            format!("{now} WARN  {message}\n")
        }
        LogFormat::Json => {
            let mut now = String::new();
            if Timestamp.format_time(&mut Writer::new(&mut now)).is_err() {
                // Without a time the line says still more than none.
                now.clear();
            }
            format!(
                "{{\"timestamp\":\"{now}\",\"level\":\"WARN\",\"message\":\"{message}\",\"threadName\":\"log\"}}\n"
            )
        }
    }
}
