use super::*;

const WIDE: usize = 160;
const NARROW: usize = 80;

fn sheet(before: &str, after: &str) -> Sheet {
    Sheet::of(vec![Arc::new(Comparison::of("kong/plugins/x/handler.lua", before.as_bytes(), after.as_bytes()))])
}

fn texts(sheet: &Sheet, columns: usize) -> Vec<String> {
    let row = |at| sheet.row(at, Look::FULL, columns, 0).text().trim_end().to_owned();
    (0..sheet.len(columns)).map(row).collect()
}

#[test]
fn narrow_it_is_one_below_the_other_with_both_numbers() {
    let sheet = sheet("one\ntwo\nthree\n", "one\n2\nthree\n");
    assert_eq!(texts(&sheet, NARROW), ["   1   1   one", "   2     - two", "       2 + 2", "   3   3   three"]);
}

#[test]
fn wide_it_is_one_beside_the_other() {
    let sheet = sheet("one\ntwo\nthree\nfour\n", "one\n2\nthree\n");
    let rows = texts(&sheet, WIDE);
    let sides: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| row.split_once('│').map(|(left, right)| (left.trim_end(), right.trim_end())).unwrap())
        .collect();
    assert_eq!(
        sides,
        [
            ("   1   one", "    1   one"),
            ("   2 - two", "    2 + 2"),
            ("   3   three", "    3   three"),
            ("   4 - four", "")
        ]
    );
}

#[test]
fn a_line_stands_beside_what_it_became() {
    let sheet = sheet("log(1)\nreturn exit(401)\nend\n", "return exit(403)\nend\n");
    let rows = texts(&sheet, WIDE);
    assert!(rows[0].contains("- log(1)") && !rows[0].contains('+'), "{rows:?}");
    assert!(rows[1].contains("401") && rows[1].contains("403"), "{rows:?}");
    let many = (0..300).map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
    let other = (0..300).map(|n| format!("x{n}x\n")).collect::<Vec<_>>().concat();
    assert_eq!(self::sheet(&many, &other).len(WIDE), 300, "too many to look for likes: one beside the other");
}

#[test]
fn wide_characters_and_tabs_keep_the_sides_apart() {
    let sheet = sheet(&"日本\tx\n".repeat(3), &format!("{}\n", "日本語".repeat(60)));
    for at in 0..sheet.len(WIDE) {
        let text = sheet.row(at, Look::FULL, WIDE, 0).text();
        let (left, right) = text.split_once('│').unwrap();
        assert_eq!((width(left), width(right) <= WIDE / 2), (79, true), "{text:?}");
    }
    let first = sheet.row(0, Look::FULL, WIDE, 0).text();
    assert!(first.contains("日本    x") && first.trim_end().ends_with('…'), "{first}");
}

#[test]
fn a_long_line_is_cut_with_a_mark_and_can_be_gone_along() {
    let sheet = sheet("", &format!("{}END\n", "x".repeat(200)));
    let cut = sheet.row(0, Look::FULL, NARROW, 0).text();
    assert!(width(&cut) == NARROW && cut.ends_with('…'), "{cut:?}");
    assert!(sheet.row(0, Look::FULL, NARROW, 150).text().ends_with("xEND"));
    assert_eq!(sheet.row(0, Look::PLAIN, NARROW, 0).text().chars().last(), Some('~'));
}

#[test]
fn code_has_its_tones_and_a_change_has_its_sign_and_tone() {
    let sheet = sheet("local a = 1\n--[[ x\nlocal\n]]\n", "local b = 1\n--[[ x\nlocal\n]]\n");
    let tones = |at: usize| -> Vec<(Tone, String)> { sheet.row(at, Look::FULL, NARROW, 0).parts };
    assert!(tones(0).contains(&(Tone::Keyword, "local".to_owned())) && tones(0).contains(&(Tone::Bad, "a".to_owned())));
    assert!(tones(1).contains(&(Tone::Good, "b".to_owned())));
    assert_eq!(tones(3).last(), Some(&(Tone::Faint, "local".to_owned())), "inside of a comment it is no word of Lua");
}

#[test]
fn lines_far_from_changes_are_left_out_and_the_next_change_is_found() {
    let old = (0..200).map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
    let new = old.replace("\n50\n", "\nx\n").replace("\n150\n", "\ny\n");
    let sheet = sheet(&old, &new);
    for columns in [NARROW, WIDE] {
        let rows = texts(&sheet, columns);
        assert!(rows[0].contains("47 lines alike") && rows.len() < 20, "{rows:?}");
        let first = sheet.change(0, columns, true).unwrap();
        let second = sheet.change(first, columns, true).unwrap();
        assert!(rows[first].contains("50") && rows[second].contains("150"), "{rows:?}");
        assert_eq!((sheet.change(second, columns, true), sheet.change(second, columns, false)), (None, Some(first)));
    }
    assert_eq!(sheet.counts(), (2, 2));
}

#[test]
fn several_files_have_their_names() {
    let of = |path: &str| Arc::new(Comparison::of(path, b"a\n", b"b\n"));
    let sheet = Sheet::of(vec![of("one.lua"), of("two.lua")]);
    let rows = texts(&sheet, NARROW);
    assert_eq!((rows[0].as_str(), rows[3].as_str(), rows[4].as_str()), (" one.lua  -1 +1", "", " two.lua  -1 +1"));
}

#[test]
fn a_file_of_twenty_thousand_lines_is_laid_out_once_and_a_row_costs_what_a_row_costs() {
    let old = (0..20_000).map(|n| format!("local line_{n} = {{ [[{n}]] }}\n")).collect::<Vec<_>>().concat();
    let new = old.replace("_7 ", "_seven ");
    let sheet = sheet(&old, &new);
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        let rows = sheet.len(WIDE);
        assert!((0..50).all(|at| width(&sheet.row(rows - 1 - at % rows, Look::FULL, WIDE, 0).text()) <= WIDE));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_huge_line_is_looked_at_only_as_far_as_it_is_seen() {
    let line = ComparedLine { kind: LineKind::Added, before: None, after: Some(1), text: "é".repeat(5_000_000) };
    let file = Comparison { added: 1, lines: vec![line], ..Comparison::default() };
    let sheet = Sheet::of(vec![Arc::new(file)]);
    let begun = std::time::Instant::now();
    assert_eq!(width(&sheet.row(0, Look::FULL, NARROW, 0).text()), NARROW);
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn nothing_at_all_has_no_rows() {
    let sheet = Sheet::of(Vec::new());
    assert_eq!((sheet.len(NARROW), sheet.change(0, NARROW, true)), (0, None));
    assert_eq!(sheet.row(3, Look::FULL, NARROW, 0), TextLine::default());
}
