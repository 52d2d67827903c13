package sqlstore

import (
	"testing"
	"unicode/utf8"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestStatementsAreSaidInPostgresWords(t *testing.T) {
	const now = "FLOOR(EXTRACT(EPOCH FROM statement_timestamp()))::BIGINT"
	for text, want := range map[string]string{
		"SELECT 1 FROM file WHERE dmid = ? AND dkey = ? FOR UPDATE":   "SELECT 1 FROM file WHERE dmid = $1 AND dkey = $2 FOR UPDATE",
		"SELECT f.fid FROM file f WHERE f.fid > ? LIMIT ?":            "SELECT f.fid FROM file f WHERE f.fid > $1::BIGINT LIMIT $2",
		"UPDATE q SET nexttry = UNIX_TIMESTAMP() + ? WHERE fid = ?":   "UPDATE q SET nexttry = " + now + " + $1 WHERE fid = $2::BIGINT",
		"SELECT fid FROM q ORDER BY nexttry LIMIT ? FOR UPDATE":       "SELECT fid FROM q ORDER BY nexttry LIMIT $1 FOR UPDATE SKIP LOCKED",
		"INSERT IGNORE INTO q (fid, nexttry) VALUES (?, 0)":           "INSERT INTO q (fid, nexttry) VALUES ($1::BIGINT, 0) ON CONFLICT DO NOTHING",
		"INSERT IGNORE INTO q (fid, nexttry)\n\tSELECT fid, 1 FROM p": "INSERT INTO q (fid, nexttry)\n\tSELECT fid, 1 FROM p ON CONFLICT DO NOTHING",
		"REPLACE INTO server_settings (field, value) VALUES (?, ?)": "INSERT INTO server_settings (field, value) VALUES ($1, $2)" +
			" ON CONFLICT (field) DO UPDATE SET value = EXCLUDED.value",
		"REPLACE INTO q (fid, a, b)\n\tVALUES (?, NULL, 0)": "INSERT INTO q (fid, a, b)\n\tVALUES ($1::BIGINT, NULL, 0)" +
			" ON CONFLICT (fid) DO UPDATE SET a = EXCLUDED.a, b = EXCLUDED.b",
	} {
		if got := postgresWords(text); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestAPerlDSNOfPostgresIsUnderstood(t *testing.T) {
	for dsn, want := range map[string]string{
		"DBI:Pg:dbname=mogilefs;host=db1;port=5433": "db1:5433/mogilefs",
		"dbi:pg:database=mogilefs;host=db1":         "db1:5432/mogilefs",
		"DBI:Pg:db=mogilefs; host = db1 ;":          "db1:5432/mogilefs",
		`DBI:Pg:dbname="two words";host=db1`:        "db1:5432/two words",
		`DBI:Pg:dbname=it's;host=db1`:               "db1:5432/it's",
		"postgres://db1/mogilefs":                   "db1:5432/mogilefs",
		"host=db1 dbname=mogilefs":                  "db1:5432/mogilefs",
	} {
		if got, err := (Postgres{DSN: dsn}).Identity(); err != nil || got != "postgres "+want {
			t.Errorf("identity of %s: got %q, error %v; want %q", dsn, got, err, want)
		}
	}
}

func TestThePrefixEndIsTheNextText(t *testing.T) {
	for prefix, want := range map[mogile.Key]mogile.Key{
		"":                     "",
		"a":                    "b",
		"aé":                   "aê",
		"a\u007f":              "a\u0080",
		"a\ud7ff":              "a\ue000",
		"a\U0010ffff":          "b",
		"\U0010ffff\U0010ffff": "",
	} {
		got := utf8PrefixEnd(prefix)
		if got != want || !utf8.ValidString(string(got)) {
			t.Errorf("end of %q: got %q; want %q", prefix, got, want)
		}
	}
}
