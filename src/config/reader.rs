//! Typed access to a file's tables that goes on after an error: every fault is kept with its
//! place, and the caller gets `None` or the default.
//!
//! Knows the schema, and not what any key means.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::context::{Context, Text, quoted};
use super::fault::Fault;
use super::field::Field;
use super::{schema, suggest};

/// One table, whose keys are those of its schema.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) cx: &'a Context<'a>,
    schema: &'static schema::Section,
    table: &'a DeTable<'a>,
    /// Its header or its braces.
    start: usize,
    end: usize,
}

impl<'a> Section<'a> {
    /// Opens a table; keys that its schema does not know are faults.
    pub(super) fn open(
        cx: &'a Context<'a>,
        schema: &'static schema::Section,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        for key in table.keys().filter(|k| !schema.knows(k.get_ref())) {
            let name = key.get_ref().as_ref();
            let home = match schema.name {
                "" => String::new(),
                section => format!(" in `{section}`"),
            };
            let message = format!("unknown key {}{home}", quoted(name));
            let fault = Fault::at(key.span(), message);
            cx.report(match schema.hint(name) {
                Some(hint) => fault.help(hint),
                None => fault.expected(format!("one of {}", schema.key_list())),
            });
        }
        Self {
            cx,
            schema,
            table,
            start: span.start,
            end: span.end,
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        debug_assert!(self.schema.knows(key), "the schema misses {key}");
        let (key, value) = self.table.get_key_value(key)?;
        Some(self.of(key, value))
    }

    pub(super) fn required(&self, key: &str) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            let message = match self.schema.name {
                "" => format!("`{key}` is missing"),
                section => format!("`{key}` is missing in this `{section}`"),
            };
            let kind = self.schema.keys.iter().find(|k| k.name == key);
            let kind = kind.map_or("a value", |k| k.kind);
            let fault = Fault::at(self.span(), message).help(format!("add `{key}`: {kind}"));
            self.cx.report(fault.may_follow());
        }
        field
    }

    /// The entries of a table whose keys are names, in the order of the file rather than of the
    /// alphabet.
    pub(super) fn named_tables(&self, key: &str) -> Option<Vec<Field<'a>>> {
        let field = self.field(key)?;
        let DeValue::Table(table) = field.value.get_ref() else {
            field.wrong("a table with a name for each entry", None);
            return None;
        };
        let mut fields: Vec<_> = table.iter().map(|(k, v)| self.of(k, v)).collect();
        fields.sort_by_key(|f| f.key_start);
        Some(fields)
    }

    fn of(&self, key: &'a Spanned<DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Field<'a> {
        Field {
            cx: self.cx,
            key: key.get_ref(),
            key_start: key.span().start,
            key_end: key.span().end,
            value,
        }
    }

    pub(super) fn section(
        &self,
        key: &str,
        schema: &'static schema::Section,
    ) -> Option<Section<'a>> {
        self.field(key)?.section(schema)
    }

    pub(super) fn text(&self, key: &str) -> Option<Text<'a>> {
        self.field(key)?.text()
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.field(key).and_then(Field::flag).unwrap_or(default)
    }

    pub(super) fn duration(&self, key: &str, default: Duration) -> Duration {
        let field = self.field(key);
        field.and_then(Field::duration).unwrap_or(default)
    }

    /// The value that `key`'s text stands for; the first of `choices` where it is left out.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&'static str, T)]) -> T {
        let default = choices[0].1;
        let Some(text) = self.text(key) else {
            return default;
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text.text) {
            return *choice;
        }
        let names = choices.iter().map(|(name, _)| *name);
        let expected: Vec<String> = names.clone().map(|n| format!("\"{n}\"")).collect();
        let near = suggest::nearest(text.text, names).map(|n| format!("did you mean \"{n}\"?"));
        let fault = Fault::at(text.span.clone(), format!("`{key}` has no such value"));
        let fault = fault.found(text.quoted()).expected(expected.join(" or "));
        self.cx.report(fault.help_if_any(near));
        default
    }
}
