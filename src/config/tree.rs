//! The parsed file as a tree whose nodes know where they stand: the only place that names the
//! YAML crate.
//!
//! `serde_yaml::Value` has no positions and gives up at the first duplicate key, so the tree is
//! built by a seed of its own. Only an error of `serde_yaml` carries a line: `line` therefore
//! parses again and fails on purpose at the wanted node. That costs one parse a problem, and
//! needs no second YAML scanner that could disagree with the first.

use std::{cmp::Ordering, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Problem;

/// Where something stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// As an operator names it: `folders[0].input`; empty for the whole file.
    pub key: String,
    /// Index of the entry or element at each level from the root, from 0. A name could not tell
    /// duplicate keys apart.
    path: Vec<usize>,
}

#[derive(Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Null,
    Switch(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, duplicates included.
    Map(Vec<(String, Node)>),
}

/// The text of a file, which Windows editors begin with a byte order mark.
pub fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(Problem::of_file("is UTF-16: save it as UTF-8"));
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}')),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let last = before.rsplit('\n').next().unwrap_or_default();
            Err(Problem {
                line: Some(before.matches('\n').count() + 1),
                column: Some(last.chars().count() + 1),
                ..Problem::of_file("not UTF-8")
            })
        }
    }
}

/// Parses one document.
pub fn parse(text: &str) -> Result<Node, Problem> {
    Grow(Place::default())
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| {
            if error.location().is_none()
                && let Some(second) = serde_yaml::Deserializer::from_str(text).nth(1)
            {
                let stopped = Descend(&[]).deserialize(second).err();
                return Problem {
                    line: stopped.and_then(|at| Some(at.location()?.line())),
                    ..Problem::of_file("a second document begins, and there must be one only")
                };
            }
            let (line, column) = error.location().map(|at| (at.line(), at.column())).unzip();
            let mut cause = error.to_string();
            if let (Some(line), Some(column)) = (line, column) {
                // The position stands in front of the message already.
                cause = cause.replacen(&format!(" at line {line} column {column}"), "", 1);
            }
            if let Some(at) = line.and_then(|line| text.lines().nth(line.saturating_sub(1)))
                && at.trim_start_matches(' ').starts_with('\t')
            {
                "a tab stands here: indent with blanks".clone_into(&mut cause);
            }
            Problem {
                line,
                column,
                key: String::new(),
                cause,
            }
        })
}

/// The line of `place`, from 1: that of the key for the entry of a mapping, since its value may
/// start further down.
pub fn line(text: &str, place: &Place) -> Option<usize> {
    if place.path.is_empty() {
        return None;
    }
    let stopped = Descend(&place.path).deserialize(serde_yaml::Deserializer::from_str(text));
    Some(stopped.err()?.location()?.line())
}

impl Place {
    /// The place of `name` below this one; of a key that is missing the line is its parent's.
    pub fn key(&self, name: &str) -> Self {
        let key = match self.key.as_str() {
            "" => name.to_owned(),
            parent => format!("{parent}.{name}"),
        };
        let path = self.path.clone();
        Self { key, path }
    }

    /// Which of two places comes first in the file; a parent comes before what is in it.
    pub fn order(&self, other: &Self) -> Ordering {
        self.path.cmp(&other.path)
    }

    fn entry(&self, name: &str, index: usize) -> Self {
        let mut place = self.key(name);
        place.path.push(index);
        place
    }

    fn element(&self, index: usize) -> Self {
        let mut path = self.path.clone();
        path.push(index);
        let key = format!("{}[{index}]", self.key);
        Self { key, path }
    }
}

/// What was found, for "must be …, found …".
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Switch(on) => write!(f, "{on}"),
            Self::Whole(number) => write!(f, "{number}"),
            // With a point or an exponent, as it was written, and never with 300 digits.
            Self::Fraction(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a mapping"),
        }
    }
}

/// Grows the node that stands at a place.
struct Grow(Place);

impl<'de> DeserializeSeed<'de> for Grow {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let value = deserializer.deserialize_any(Grow(self.0.clone()))?;
        Ok(Node {
            place: self.0,
            value,
        })
    }
}

impl<'de> Visitor<'de> for Grow {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// An empty file.
    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Value, E> {
        Ok(Value::Switch(on))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Whole(number))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Value, E> {
        // No key takes anything near either limit.
        Ok(Value::Whole(i128::try_from(number).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Fraction(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element_seed(Grow(self.0.element(nodes.len())))? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let node = map.next_value_seed(Grow(self.0.entry(&key, entries.len())))?;
            entries.push((key, node));
        }
        Ok(Value::Map(entries))
    }
}

/// Goes down a path of indices and fails at its end.
#[derive(Clone, Copy)]
struct Descend<'p>(&'p [usize]);

impl<'de> DeserializeSeed<'de> for Descend<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What is not overridden here fails by default, which is how a scalar stops the descent.
impl<'de> Visitor<'de> for Descend<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the path")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((&index, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..index {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Descend(rest))?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((&index, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..index {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if rest.is_empty() {
            map.next_key_seed(Descend(rest))?;
        } else {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Descend(rest))?;
        }
        Ok(())
    }
}
