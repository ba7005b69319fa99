// SPDX-License-Identifier: MIT
//! As much of Rust's grammar as the rules need.

/// `source` with the inside of comments and of string and character literals blanked; line breaks stay.
pub fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let len = match literal(rest, out.chars().next_back()) {
            Some(len) => {
                out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                len
            }
            None => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

/// Bytes of the comment or literal with which `text` begins; `None` where it begins with code.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('r') && !in_word {
        let hashes = text[1..].chars().take_while(|&c| c == '#').count();
        let body = &text[1 + hashes..];
        let end = format!("\"{}", "#".repeat(hashes));
        return body.strip_prefix('"').map(|body| 2 + hashes + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    // `'a'` and `'\n'` are characters, `'a` is a lifetime.
    let mut after = text.strip_prefix('\'')?.chars();
    let (first, second) = (after.next()?, after.next());
    (first == '\\' || second == Some('\'')).then(|| quoted(text, '\''))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, pair) in text.as_bytes().windows(2).enumerate() {
        depth += i32::from(pair == b"/*") - i32::from(pair == b"*/");
        if depth == 0 {
            return at + 2;
        }
    }
    text.len()
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Where `word` stands as a word of its own.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let (before, after) = (code[..at].chars().next_back(), code[at + word.len()..].chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// The line, from 1, of the byte `at`.
pub fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// A function: its name, its first line, its lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
    /// Whether `#[test]` stands before it.
    pub test: bool,
}

/// Every function with a body.
pub fn functions(source: &str) -> Vec<Function> {
    let code = code(source);
    let mut functions = Vec::new();
    for at in words(&code, "fn") {
        let after = code[at + 2..].trim_start();
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(open) = body(&code[at..]).map(|o| at + o) else { continue };
        if name.is_empty() {
            continue;
        }
        let end = open + closing(&code[open..]);
        let line_at = line(&code, at);
        functions.push(Function {
            name,
            line: line_at,
            lines: line(&code, end) - line_at + 1,
            test: is_test(&code, line_at),
        });
    }
    functions
}

/// Bytes from a function's `fn` to its body; `None` where it has none.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Bytes from an opening brace to its closing one.
fn closing(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return at;
        }
    }
    code.len() - 1
}

/// Whether an attribute above the line `line` is `#[test]`.
fn is_test(code: &str, line: usize) -> bool {
    let above: Vec<&str> = code.lines().take(line - 1).collect();
    above.iter().rev().map(|l| l.trim()).take_while(|l| l.is_empty() || l.starts_with("#[")).any(|l| l == "#[test]")
}

#[test]
fn comments_and_literals_are_blanked() {
    let source = "a /* b /* c */ d */ e // f\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' <'l> bar\"m\"";
    let expected = format!("a{}e{}\n{}<'l> bar   ", " ".repeat(19), " ".repeat(5), " ".repeat(29));
    assert_eq!(code(source), expected);
}

#[test]
fn functions_are_measured() {
    let source = "#[test]\nfn a() {\n  if x { y }\n}\ntrait T { fn b(); fn c(x: [u8; 4]) -> u8 { 1 } }\n";
    let found: Vec<_> = functions(source).into_iter().map(|f| (f.name, f.line, f.lines, f.test)).collect();
    assert_eq!(found, [("a".into(), 2, 3, true), ("c".into(), 5, 1, false)]);
}
