//! The configuration: YAML in, validated values out.
