//! One value of the file as the type it should have, or a fault.
//!
//! Knows types and units, not what any key means.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::context::{Context, Text};
use super::fault::Fault;
use super::reader::Section;
use super::{schema, value};

/// A value and the key it stands under.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) key: &'a str,
    pub(super) key_start: usize,
    pub(super) key_end: usize,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    pub(super) fn key_span(&self) -> Range<usize> {
        self.key_start..self.key_end
    }

    pub(super) fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is this word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.value.get_ref().as_str() == Some(word)
    }

    /// Reports that the value is not what it should be.
    pub(super) fn wrong(&self, expected: &str, help: Option<String>) {
        let fault = Fault::at(self.span(), format!("`{}` has the wrong type", self.key));
        let fault = fault.found(self.found()).expected(expected);
        self.cx.report(fault.help_if_any(help));
    }

    /// The value as a message may name it: by its kind, since any value may be a secret.
    fn found(&self) -> &'static str {
        match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// A string. References to the environment are for secrets alone, so that no other value
    /// changes without the file.
    pub(super) fn text(self) -> Option<Text<'a>> {
        let text = self.text_with_references()?;
        if text.text.contains("${env:") || text.text.contains("${file:") {
            let message = format!("`{}` cannot hold a `${{…}}` reference", self.key);
            let help = "`${env:NAME}` and `${file:PATH}` are read in `user` and `password` only";
            self.cx.report(Fault::at(text.span, message).help(help));
            return None;
        }
        Some(text)
    }

    pub(super) fn text_with_references(self) -> Option<Text<'a>> {
        let DeValue::String(text) = self.value.get_ref() else {
            let is_scalar = !self.is_array() && !self.is_table();
            self.wrong("a string", is_scalar.then(|| "put it in quotes".to_owned()));
            return None;
        };
        let span = self.span();
        Some(Text { text, span })
    }

    pub(super) fn flag(self) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong("true or false, without quotes", None);
        }
        flag
    }

    /// An integer within `bounds`.
    pub(super) fn integer(self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let (min, max) = (bounds.start(), bounds.end());
        let expected = match min == max {
            true => min.to_string(),
            false => format!("an integer from {min} to {max}"),
        };
        let DeValue::Integer(integer) = self.value.get_ref() else {
            self.wrong(&expected, None);
            return None;
        };
        let parsed = usize::from_str_radix(integer.as_str(), integer.radix()).ok();
        let within = parsed.filter(|i| bounds.contains(i));
        if within.is_none() {
            let fault = Fault::at(self.span(), format!("`{}` is out of bounds", self.key));
            self.cx
                .report(fault.found(integer.as_str()).expected(expected));
        }
        within
    }

    pub(super) fn duration(self) -> Option<Duration> {
        self.with_unit(
            "a duration with a unit, such as \"30s\"",
            "s",
            value::duration,
        )
    }

    /// A duration, or the word `none` for `None`.
    pub(super) fn duration_or_none(self) -> Option<Option<Duration>> {
        let expected = "a duration with a unit, such as \"30s\", or \"none\"";
        self.with_unit(expected, "s", |text| match text {
            "none" => Ok(None),
            text => value::duration(text).map(Some),
        })
    }

    pub(super) fn size(self, bounds: RangeInclusive<usize>) -> Option<usize> {
        self.with_unit("a size with a unit, such as \"16KiB\"", "KiB", |text| {
            value::size(text, &bounds)
        })
    }

    /// A size, or the word `none` for `None`.
    pub(super) fn size_or_none(self, bounds: RangeInclusive<usize>) -> Option<Option<usize>> {
        let expected = "a size with a unit, such as \"64KiB\", or \"none\"";
        self.with_unit(expected, "KiB", |text| match text {
            "none" => Ok(None),
            text => value::size(text, &bounds).map(Some),
        })
    }

    fn with_unit<T>(
        self,
        expected: &str,
        unit: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if let DeValue::Integer(integer) = self.value.get_ref() {
            let help = format!("write the unit too: \"{}{unit}\"", integer.as_str());
            self.wrong(expected, Some(help));
            return None;
        }
        let text = self.text()?;
        match parse(text.text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let fault = Fault::at(text.span.clone(), format!("`{}`: {reason}", self.key));
                self.cx
                    .report(fault.found(text.quoted()).expected(expected));
                None
            }
        }
    }

    pub(super) fn section(self, schema: &'static schema::Section) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value.get_ref() else {
            let help = format!("write `{} = {{ … }}`", self.key);
            self.wrong("a table", Some(help));
            return None;
        };
        Some(Section::open(self.cx, schema, table, self.span()))
    }

    /// The tables of `[[key]]`.
    pub(super) fn sections(self, schema: &'static schema::Section) -> Vec<Section<'a>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            let help = format!("write `[[{}]]`, with two brackets", schema.name);
            self.wrong("a list of tables", Some(help));
            return Vec::new();
        };
        let items = array.iter().map(|value| Field { value, ..self });
        items.filter_map(|item| item.section(schema)).collect()
    }

    /// A list of strings; items that are none are faults and left out.
    pub(super) fn texts(self) -> Option<Vec<Text<'a>>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            let help = match self.value.get_ref() {
                DeValue::String(_) => Some(format!("write `{} = [\"…\"]`", self.key)),
                _ => None,
            };
            self.wrong("a list of strings", help);
            return None;
        };
        let items = array.iter().map(|value| Field { value, ..self });
        Some(items.filter_map(Field::text).collect())
    }

    /// A list of strings that is not empty.
    pub(super) fn texts_not_empty(self) -> Option<Vec<Text<'a>>> {
        let texts = self.texts()?;
        if self
            .value
            .get_ref()
            .as_array()
            .is_some_and(|a| a.is_empty())
        {
            let fault = Fault::at(self.span(), format!("`{}` is empty", self.key));
            self.cx.report(fault.expected("at least one entry"));
            return None;
        }
        Some(texts)
    }

    /// The strings of a table whose keys are the user's own.
    pub(super) fn entries(self) -> Vec<(&'a str, Range<usize>, Text<'a>)> {
        let DeValue::Table(table) = self.value.get_ref() else {
            self.wrong("a table of strings", None);
            return Vec::new();
        };
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| {
            let name: &'a DeString<'a> = key.get_ref();
            let field = Field {
                key: name,
                key_start: key.span().start,
                key_end: key.span().end,
                value,
                ..self
            };
            Some((field.key, key.span(), field.text()?))
        };
        table.iter().filter_map(entry).collect()
    }
}
