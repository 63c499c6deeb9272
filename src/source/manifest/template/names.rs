//! The names of functions, filters and tests.

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($variant:ident = $($name:literal)|+,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $kind { $($variant,)+ }

        impl $kind {
            /// Every name.
            pub(in crate::source::manifest) const NAMES: &[&str] = &[$($($name),+),+];

            /// The one of this name.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($($name)|+ => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// Macros of the reference that templates call, and what Jinja itself offers.
    Function {
        NowUtc = "now_utc",
        TodayUtc = "today_utc",
        TodayWithTimezone = "today_with_timezone",
        Timestamp = "timestamp",
        Max = "max",
        Min = "min",
        DayDelta = "day_delta",
        Duration = "duration",
        FormatDatetime = "format_datetime",
        StrToDatetime = "str_to_datetime",
        SanitizeUrl = "sanitize_url",
        CamelCaseToSnakeCase = "camel_case_to_snake_case",
        GenerateUuid = "generate_uuid",
        Dict = "dict",
        JsonLoads = "json_loads",
    }
}

names! {
    /// Jinja's filters and those of the reference.
    Filter {
        Abs = "abs",
        Attr = "attr",
        Base64Encode = "base64encode",
        Base64Decode = "base64decode",
        Base64BinasciiDecode = "base64binascii_decode",
        Capitalize = "capitalize",
        Center = "center",
        Count = "count" | "length",
        Default = "default" | "d",
        DictSort = "dictsort",
        Escape = "e" | "escape" | "forceescape",
        First = "first",
        Float = "float",
        Format = "format",
        Hash = "hash",
        Hmac = "hmac",
        Int = "int",
        Items = "items",
        Join = "join",
        Last = "last",
        List = "list",
        Lower = "lower",
        Map = "map",
        Max = "max",
        Min = "min",
        RegexReplace = "regex_replace",
        RegexSearch = "regex_search",
        Reject = "reject",
        RejectAttr = "rejectattr",
        Replace = "replace",
        Reverse = "reverse",
        Round = "round",
        Safe = "safe",
        Select = "select",
        SelectAttr = "selectattr",
        Sort = "sort",
        String = "string",
        Sum = "sum",
        Title = "title",
        ToJson = "tojson",
        Trim = "trim",
        Unique = "unique",
        Upper = "upper",
        UrlEncode = "urlencode",
        WordCount = "wordcount",
    }
}

names! {
    /// Jinja's tests.
    Test {
        Boolean = "boolean",
        Callable = "callable",
        Defined = "defined",
        DivisibleBy = "divisibleby",
        Eq = "eq" | "equalto" | "==",
        Escaped = "escaped",
        Even = "even",
        False = "false",
        FilterExists = "filter",
        Float = "float",
        Ge = "ge" | ">=",
        Gt = "gt" | "greaterthan" | ">",
        In = "in",
        Integer = "integer",
        Iterable = "iterable",
        Le = "le" | "<=",
        Lower = "lower",
        Lt = "lt" | "lessthan" | "<",
        Mapping = "mapping",
        Ne = "ne" | "!=",
        None = "none",
        Number = "number",
        Odd = "odd",
        SameAs = "sameas",
        Sequence = "sequence",
        String = "string",
        Known = "test",
        True = "true",
        Undefined = "undefined",
        Upper = "upper",
    }
}
