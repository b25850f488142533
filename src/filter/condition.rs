//! One comparison on one field of `struct seccomp_data`.

use std::fmt;
use std::str::FromStr;

use crate::abi::SeccompData;
use crate::bpf::{Cursor, SyntaxError, arch_name, arch_value};

/// A field of `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The system call number, 32 bits, compared as unsigned.
    Nr,
    /// The `AUDIT_ARCH_*` value, 32 bits.
    Arch,
    /// The address after the system call instruction, 64 bits.
    InstructionPointer,
    /// An argument register, 0 to 5, 64 bits.
    Arg(u8),
}

impl Field {
    /// How wide the field is, 32 or 64.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Nr | Self::Arch => 32,
            Self::InstructionPointer | Self::Arg(_) => 64,
        }
    }

    /// What `data` has in this field; 0 for an argument that no call has.
    #[must_use]
    pub fn of(self, data: &SeccompData) -> u64 {
        match self {
            Self::Nr => data.nr.cast_unsigned().into(),
            Self::Arch => data.arch.into(),
            Self::InstructionPointer => data.instruction_pointer,
            Self::Arg(index) => data.args.get(usize::from(index)).copied().unwrap_or(0),
        }
    }
}

impl fmt::Display for Field {
    /// The name that seccomp(2) uses: `args[0]`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nr => out.write_str("nr"),
            Self::Arch => out.write_str("arch"),
            Self::InstructionPointer => out.write_str("instruction_pointer"),
            Self::Arg(index) => write!(out, "args[{index}]"),
        }
    }
}

/// How two unsigned numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// All comparisons, longer signs before those that they start with.
    const ALL: [(Self, &'static str); 6] = [
        (Self::Equal, "=="),
        (Self::NotEqual, "!="),
        (Self::LessOrEqual, "<="),
        (Self::GreaterOrEqual, ">="),
        (Self::Less, "<"),
        (Self::Greater, ">"),
    ];

    /// Whether it holds between `left` and `right`.
    #[must_use]
    pub fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = Self::ALL.iter().find(|row| row.0 == *self);
        out.write_str(row.expect("every comparison is in the list").1)
    }
}

/// `field & mask comparison value`, all unsigned.
///
/// Arguments and the instruction pointer are compared in all their 64 bits,
/// also where the call itself takes an `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What is looked at.
    pub field: Field,
    /// The bits of it that are compared; `None` means all.
    pub mask: Option<u64>,
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with.
    pub value: u64,
}

impl Condition {
    /// Whether it holds for `data`.
    #[must_use]
    pub fn holds(&self, data: &SeccompData) -> bool {
        let left = self.field.of(data) & self.mask.unwrap_or(u64::MAX);
        self.comparison.holds(left, self.value)
    }
}

impl fmt::Display for Condition {
    /// `args[0] & 0xff == 3`; large numbers are hexadecimal, values of `arch`
    /// have their names.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.field)?;
        if let Some(mask) = self.mask {
            write!(out, " & {mask:#x}")?;
        }
        write!(out, " {} ", self.comparison)?;
        let name = u32::try_from(self.value).ok().and_then(arch_name);
        match name.filter(|_| self.field == Field::Arch) {
            Some(name) => out.write_str(name),
            None if self.value < 4096 => write!(out, "{}", self.value),
            None => write!(out, "{:#x}", self.value),
        }
    }
}

impl FromStr for Condition {
    type Err = SyntaxError;

    /// Reads `field [& mask] comparison value`.
    ///
    /// Numbers are decimal, `0x…`, `0b…`, `0o700` or `0700`, and may be
    /// negative, which means the same bits of an unsigned number as wide as
    /// the field. `AUDIT_ARCH_*` names may stand for numbers. `ip` is short
    /// for `instruction_pointer`.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text, 0..text.len());
        let field = field(&mut cursor)?;
        let mask = if cursor.eat("&") { Some(value(&mut cursor, field)?) } else { None };
        let sign = Comparison::ALL.iter().find(|row| cursor.eat(row.1));
        let Some(&(comparison, _)) = sign else {
            return Err(cursor.unexpected("`==`, `!=`, `<`, `<=`, `>` or `>=`"));
        };
        let value = value(&mut cursor, field)?;
        if !cursor.is_done() {
            return Err(cursor.unexpected("the end of the condition"));
        }
        Ok(Self { field, mask, comparison, value })
    }
}

fn field(cursor: &mut Cursor<'_>) -> Result<Field, SyntaxError> {
    let place = cursor.place();
    match cursor.word() {
        Some(("nr", _)) => Ok(Field::Nr),
        Some(("arch", _)) => Ok(Field::Arch),
        Some(("instruction_pointer" | "ip", _)) => Ok(Field::InstructionPointer),
        Some(("args", _)) => {
            cursor.expect("[")?;
            let place = cursor.place();
            let Ok(index @ 0..6) = cursor.number(32) else {
                cursor.back_to(place);
                return Err(cursor.unexpected("an argument number from 0 to 5"));
            };
            cursor.expect("]")?;
            Ok(Field::Arg(index as u8))
        }
        _ => {
            cursor.back_to(place);
            Err(cursor.unexpected("`nr`, `arch`, `instruction_pointer` or `args[0]`"))
        }
    }
}

fn value(cursor: &mut Cursor<'_>, field: Field) -> Result<u64, SyntaxError> {
    let place = cursor.place();
    if let Some(arch) = cursor.word().and_then(|(name, _)| arch_value(name)) {
        return Ok(arch.into());
    }
    cursor.back_to(place);
    cursor.number(field.bits())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::filter::rule_tests::any_condition;

    #[rstest]
    #[case::mask("args[0] & 0xff == 3", "args[0] & 0xff == 3")]
    #[case::arch("arch == AUDIT_ARCH_I386", "arch == AUDIT_ARCH_I386")]
    #[case::ip("ip>=0x1000", "instruction_pointer >= 0x1000")]
    #[case::nr("nr < 10", "nr < 10")]
    #[case::octal("args[1] == 0o700", "args[1] == 448")]
    #[case::octal_as_in_c("args[1] == 0700", "args[1] == 448")]
    #[case::negative("nr == -1", "nr == 0xffffffff")]
    #[case::negative_wide("args[5] != -1", "args[5] != 0xffffffffffffffff")]
    fn read_and_printed(#[case] text: &str, #[case] printed: &str) {
        let condition: Condition = text.parse().unwrap();
        assert_eq!(condition.to_string(), printed);
    }

    #[rstest]
    #[case::empty("", 0..0, "unexpected end")]
    #[case::no_field("mode == 3", 0..4, "unexpected `mode`")]
    #[case::no_argument("args[6] == 3", 5..6, "unexpected `6`")]
    #[case::no_comparison("nr = 3", 3..4, "unexpected `=`")]
    #[case::no_value("nr == ", 6..6, "unexpected end")]
    #[case::too_wide("nr == 0x100000000", 6..17, "`0x100000000` does not fit in 32 bits")]
    #[case::trailing("nr == 3 4", 8..9, "unexpected `4`")]
    #[case::not_ascii("nr == é", 6..8, "unexpected `é`")]
    fn refused(#[case] text: &str, #[case] span: std::ops::Range<usize>, #[case] message: &str) {
        let error = text.parse::<Condition>().unwrap_err();
        assert_eq!((error.span, error.message.as_str()), (span, message));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(condition in any_condition()) {
            prop_assert_eq!(condition.to_string().parse(), Ok(condition));
        }
    }
}
