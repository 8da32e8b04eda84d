//! One value as Kong sees it: numbers worked out, comments stripped (facts.md A1).

/// What Lua's `%s` matches in the C locale.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// Where the inline comment begins, the blanks before it included: at the first `#` without a `\` right before it.
pub(super) fn comment_start(value: &[u8]) -> Option<usize> {
    let hash = (0..value.len()).find(|at| value[*at] == b'#' && (*at == 0 || value[at - 1] != b'\\'))?;
    Some(value[..hash].iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1))
}

/// The text by which Kong splits any value at each of its letters: it was meant as "never split".
const DELIMITER: &[u8] = b"_blank_";

/// The value behind `=` as Kong sees it.
pub(super) fn normal(raw: &[u8]) -> Vec<u8> {
    if raw.windows(DELIMITER.len()).any(|window| window == DELIMITER) {
        let parts = raw.split(|byte| DELIMITER.contains(byte)).filter(|part| !part.is_empty());
        // Kong strips comments from texts only, and this is a list by now.
        return parts.map(|part| worked_out(part).unwrap_or_else(|text| text)).collect::<Vec<_>>().join(&b',');
    }
    let text = match worked_out(raw) {
        Ok(number) => return number,
        Err(text) => text,
    };
    let text = trim(&text[..comment_start(&text).unwrap_or(text.len())]);
    let mut value = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if *byte != b'\\' || text.get(at + 1) != Some(&b'#') {
            value.push(*byte);
        }
    }
    value
}

/// What begins with a digit or a sign and is a number to Lua, as Lua writes that number (`0123` is 123, `0x10` is 16,
/// `5 kB` is 5), or else the text without blanks around it. A text that only looked like a size loses its ` kB`.
fn worked_out(raw: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    if !raw.first().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-')) {
        return Err(trim(raw).to_vec());
    }
    let number =
        |text: &[u8]| std::str::from_utf8(text).ok().and_then(lua_number).map(|number| written(number).into_bytes());
    if let Some(number) = number(raw) {
        return Ok(number);
    }
    let bare = if raw.ends_with(b" kB") { without(raw, b" kB") } else { raw.to_vec() };
    number(&bare).ok_or_else(|| trim(&bare).to_vec())
}

fn without(text: &[u8], part: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut kept = Vec::with_capacity(text.len());
    while let Some(first) = rest.first() {
        if let Some(behind) = rest.strip_prefix(part) {
            rest = behind;
        } else {
            kept.push(*first);
            rest = &rest[1..];
        }
    }
    kept
}

fn lua_number(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, text),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let plain = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        #[expect(clippy::cast_precision_loss, reason = "Lua's numbers are doubles and lose it too")]
        return u64::from_str_radix(hex, 16).ok().filter(|_| plain).map(|value| sign * value as f64);
    }
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    digits.parse::<f64>().ok().filter(|value| plain && value.is_finite()).map(|value| sign * value)
}

/// As C's `%.14g`.
fn written(number: f64) -> String {
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{number:.13e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| {
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        text.to_owned()
    };
    if (-4..14).contains(&exponent) {
        let decimals = usize::try_from(13 - exponent).unwrap_or(0);
        return short(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", short(mantissa), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_look_like_numbers_become_numbers() {
        for (raw, value) in [
            ("0123", "123"),
            ("1e3", "1000"),
            ("0x10", "16"),
            ("5 kB", "5"),
            ("0.5", "0.5"),
            ("-7", "-7"),
            ("1e20", "1e+20"),
            ("0.1", "0.1"),
            ("123456789012", "123456789012"),
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("5s", "5s"),
            ("+inf", "+inf"),
            ("5 # five", "5"),
        ] {
            assert_eq!(String::from_utf8(normal(raw.as_bytes())).unwrap(), value, "{raw}");
        }
    }
}
