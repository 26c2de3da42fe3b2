//! Forms as browsers and mail programs send them.

/// The fields of an `application/x-www-form-urlencoded` body, several of one name kept.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a body. What is no form has no fields.
    pub fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_of_one_name_are_kept() {
        let fields = Fields::parse(b"feed=a&feed=%C4%91&address=x%40y.vn");
        assert_eq!(fields.all("feed").collect::<Vec<_>>(), ["a", "đ"]);
        assert_eq!(fields.get("address"), Some("x@y.vn"));
        assert_eq!(fields.get("none"), None);
    }
}
