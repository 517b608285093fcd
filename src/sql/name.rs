//! From a table's name to a model's, and to the name of a metric.

/// What a metric is named after: the model or the plain table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Naming {
    /// `SQL/User/select`, as the Ruby agent names what comes from Active Record.
    #[default]
    Model,
    /// `SQL/users/select`
    Table,
}

/// The longest name of a table or model in a metric.
const LONGEST: usize = 128;

/// The last part of a table's name without quotes, its digits made few: numbered tables (shards, partitions, one table a
/// customer) would give every one its own metric. Runs of two or more digits, and hexadecimal runs of eight or more with a
/// digit among them, become `N`.
pub(super) fn table(quoted: &str) -> String {
    let bare = unquote(quoted);
    let mut table = String::with_capacity(bare.len().min(LONGEST));
    let mut rest = bare;
    while let Some(c) = rest.chars().next() {
        if table.len() + c.len_utf8() > LONGEST {
            break;
        }
        let hex = run(rest, |c| c.is_ascii_hexdigit());
        let digits = run(rest, |c| c.is_numeric());
        let hex_number = hex >= 8 && rest.bytes().take(hex).any(|b| b.is_ascii_digit());
        let taken = if hex_number {
            hex
        } else if rest.chars().take_while(|c| c.is_numeric()).take(2).count() == 2 {
            digits
        } else {
            0
        };
        if taken > 0 {
            table.push('N');
            rest = rest.get(taken..).unwrap_or("");
        } else {
            table.push(if c == '/' || c.is_whitespace() { '_' } else { c });
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
    }
    table
}

/// The length in bytes of the characters at the beginning that pass.
fn run(text: &str, pass: impl Fn(char) -> bool) -> usize {
    text.find(|c| !pass(c)).unwrap_or(text.len())
}

fn unquote(name: &str) -> &str {
    let mut chars = name.chars();
    match (chars.next(), chars.next_back()) {
        (Some('"'), Some('"')) | (Some('`'), Some('`')) | (Some('['), Some(']')) => chars.as_str(),
        _ => name,
    }
}

/// The model of a table, as Rails derives it: `maxmind_geolite_countries` is `MaxmindGeoliteCountry`.
pub(super) fn model(table: &str) -> String {
    let singular = singular(table);
    let mut model = String::with_capacity(singular.len());
    for word in singular.split(|c: char| !c.is_alphanumeric()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            model.extend(first.to_uppercase());
            model.push_str(letters.as_str());
        }
    }
    model.truncate(
        model
            .char_indices()
            .map(|(i, c)| i + c.len_utf8())
            .take_while(|&end| end <= LONGEST)
            .last()
            .unwrap_or(0),
    );
    model
}

/// Words whose plural is the singular. The last word of a name counts.
const UNCOUNTABLE: &[&str] = &[
    "equipment",
    "information",
    "rice",
    "money",
    "species",
    "series",
    "fish",
    "sheep",
    "jeans",
    "police",
    "news",
];

/// Endings of plurals and of their singulars; the first that fits is taken. After Active Support's inflections.
const ENDINGS: &[(&str, &str)] = &[
    ("people", "person"),
    ("children", "child"),
    ("sexes", "sex"),
    ("moves", "move"),
    ("zombies", "zombie"),
    ("men", "man"),
    ("databases", "database"),
    ("quizzes", "quiz"),
    ("matrices", "matrix"),
    ("vertices", "vertex"),
    ("indices", "index"),
    ("aliases", "alias"),
    ("alias", "alias"),
    ("statuses", "status"),
    ("status", "status"),
    ("octopi", "octopus"),
    ("octopus", "octopus"),
    ("viri", "virus"),
    ("virus", "virus"),
    ("crises", "crisis"),
    ("crisis", "crisis"),
    ("testes", "testis"),
    ("testis", "testis"),
    ("shoes", "shoe"),
    ("oes", "o"),
    ("buses", "bus"),
    ("bus", "bus"),
    ("mice", "mouse"),
    ("lice", "louse"),
    ("xes", "x"),
    ("ches", "ch"),
    ("sses", "ss"),
    ("shes", "sh"),
    ("movies", "movie"),
    ("hives", "hive"),
    ("tives", "tive"),
    ("lves", "lf"),
    ("rves", "rf"),
    ("ves", "fe"),
    ("analyses", "analysis"),
    ("analysis", "analysis"),
    ("bases", "basis"),
    ("basis", "basis"),
    ("diagnoses", "diagnosis"),
    ("diagnosis", "diagnosis"),
    ("parentheses", "parenthesis"),
    ("prognoses", "prognosis"),
    ("synopses", "synopsis"),
    ("theses", "thesis"),
    ("thesis", "thesis"),
    ("ta", "tum"),
    ("ia", "ium"),
    ("ss", "ss"),
];

fn ends_with(name: &str, ending: &str) -> Option<usize> {
    let start = name.len().checked_sub(ending.len())?;
    name.get(start..)?.eq_ignore_ascii_case(ending).then_some(start)
}

fn singular(name: &str) -> String {
    let word_start =
        |start: usize| name.get(..start).is_some_and(|head| head.is_empty() || head.ends_with('_'));
    if UNCOUNTABLE.iter().any(|word| ends_with(name, word).is_some_and(word_start)) {
        return name.to_owned();
    }
    if let Some(start) = ends_with(name, "ies") {
        // -y after a consonant: countries; not after a vowel, where a plain -s is taken off
        let stem = name.get(..start).unwrap_or("");
        let consonant = !stem.to_ascii_lowercase().ends_with(['a', 'e', 'i', 'o', 'u', 'y']);
        let own = ["movies", "zombies"].iter().any(|word| ends_with(name, word).is_some());
        if consonant && !stem.is_empty() && !own {
            return format!("{stem}y");
        }
    }
    for (plural, singular) in ENDINGS {
        // Irregular words are whole words: "women" is one, "specimen" is none. The others are endings.
        let Some(start) = ends_with(name, plural) else {
            continue;
        };
        if matches!(*plural, "mice" | "lice") && !word_start(start) {
            continue;
        }
        let stem = name.get(..start).unwrap_or("");
        let first = name.get(start..).and_then(|ending| ending.chars().next());
        let mut ending = (*singular).to_owned();
        if first.is_some_and(char::is_uppercase) && name.chars().any(char::is_lowercase) {
            let mut letters = singular.chars();
            ending =
                letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
        }
        return format!("{stem}{ending}");
    }
    match ends_with(name, "s") {
        Some(start) if start > 0 => name.get(..start).unwrap_or(name).to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_those_rails_derives() {
        for (table, expected) in [
            ("users", "User"),
            ("activities", "Activity"),
            ("maxmind_geolite_country", "MaxmindGeoliteCountry"),
            ("people", "Person"),
            ("order_statuses", "OrderStatus"),
            ("addresses", "Address"),
            ("boxes", "Box"),
            ("news", "News"),
            ("time_series", "TimeSeries"),
            ("movies", "Movie"),
            ("knives", "Knife"),
            ("shelves", "Shelf"),
            ("analyses", "Analysis"),
            ("AspNetUsers", "AspNetUser"),
            ("keys", "Key"),
            ("schema_migrations", "SchemaMigration"),
            ("user", "User"),
            ("address", "Address"),
            ("s", "S"),
            ("???", ""),
            ("größen", "Größen"),
        ] {
            assert_eq!(model(table), expected, "{table}");
        }
    }

    #[test]
    fn numbered_tables_share_a_name() {
        assert_eq!(table("`events_2024_01`"), "events_N_N");
        assert_eq!(table("\"t1\""), "t1");
        assert_eq!(table("[Order Details]"), "Order_Details");
        assert_eq!(table("tmp_3f9a2b1c77"), "tmp_N");
        assert_eq!(table("a/b"), "a_b");
        assert_eq!(table("facade_decade"), "facade_decade");
        assert!(table(&"x".repeat(300)).len() <= 128);
        assert!(model(&"ß_".repeat(300)).len() <= 128);
    }
}
