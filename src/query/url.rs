use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a database is. Its password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `postgres://user:password@host/database`
    Postgres(url::Url),
    /// `mysql://…`, also of MariaDB.
    MySql(url::Url),
    /// `sqlite:PATH`
    Sqlite(PathBuf),
}

/// A text that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no database that can be asked; write postgres://user:password@host/database, mysql://… (also for MariaDB), or sqlite:PATH"
)]
pub struct DatabaseUrlError(String);

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(DatabaseUrlError("sqlite:".to_owned()))
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        // Only the scheme is told: behind it there may be a password.
        let refused = || DatabaseUrlError(format!("{}:…", text.split(':').next().unwrap_or_default()));
        let text = text.strip_prefix("mariadb://").map_or(text.to_owned(), |rest| format!("mysql://{rest}"));
        let url: url::Url = text.parse().map_err(|_| refused())?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Self::Postgres(url)),
            "mysql" => Ok(Self::MySql(url)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) | Self::MySql(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or("localhost"), url.path())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_told_without_its_password() {
        let url: DatabaseUrl = "mariadb://cms:s3cret@db.example:3307/bao".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "mysql://db.example:3307/bao mysql://db.example:3307/bao");
        let error = "mssql://sa:s3cret@db/bao".parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(!error.contains("s3cret") && error.contains("mssql:…"), "{error}");
    }
}
