//! What is known of one argument or column.

/// One argument or column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The name, after `rename` and `rename_all`.
    pub(crate) name: &'static str,
    /// What its text looks like.
    pub(crate) kind: Kind,
    /// Whether it is an `Option`.
    pub(crate) nullable: bool,
    /// Whether it can be left out, because it is an `Option` or has a default.
    pub(crate) optional: bool,
}

/// What a cell's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Any text, or the name of an enum's variant.
    Text,
    /// Bytes that need not be text.
    Bytes,
}

impl Kind {
    /// The name in the manifest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}
