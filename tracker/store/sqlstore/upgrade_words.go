package sqlstore

import "strings"

// The additions and alterations of docs/spec/schema.md §3 in the words of each dialect.

const mysqlColumns = `SELECT table_name, column_name, column_type, COALESCE(collation_name, ''), '', ''
	FROM information_schema.columns WHERE table_schema = DATABASE()`

func mysqlUpgrade() upgradeWords {
	return upgradeWords{
		added: []addition{
			{"host", "http_get_port", "MEDIUMINT UNSIGNED"},
			{"host", "altip", "VARCHAR(15) UNIQUE"},
			{"host", "altmask", "VARCHAR(18)"},
			{"device", "mb_asof", "INT UNSIGNED"},
			{"device", "weight", "MEDIUMINT DEFAULT 100"},
			{"class", "replpolicy", "VARCHAR(255)"},
			{"class", "hashtype", "TINYINT UNSIGNED"},
			{"file_to_queue", "arg", "TEXT"},
		},
		altered: []alteration{
			{"device", "status", mysqlStates(deviceStates)},
			{"server_settings", "value", mysqlText},
			{"file_to_queue", "arg", mysqlText},
			{"device", "mb_total", mysqlInt},
			{"device", "mb_used", mysqlInt},
			{"host", "status", mysqlStates(hostStates)},
		},
	}
}

// mysqlModify keeps the collation, which would become the table's default.
func mysqlModify(name, kind string, is column) string {
	if is.collation != "" {
		kind += " COLLATE " + is.collation
	}
	return "MODIFY " + name + " " + kind
}

func mysqlText(name string, is column) string {
	if strings.Contains(is.kind, "text") {
		return ""
	}
	return mysqlModify(name, "TEXT", is)
}

func mysqlInt(name string, is column) string {
	if strings.HasPrefix(is.kind, "int") || strings.HasPrefix(is.kind, "bigint") {
		return ""
	}
	return mysqlModify(name, "INT UNSIGNED", is)
}

func mysqlStates(want []string) func(string, column) string {
	return func(name string, is column) string {
		states := gained(is.kind, want)
		if states == nil || !strings.HasPrefix(is.kind, "enum(") {
			return "" // a column of another type takes all
		}
		return mysqlModify(name, "ENUM("+quoted(states)+")", is)
	}
}

const postgresColumns = `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
	COALESCE((SELECT collname FROM pg_collation WHERE oid = a.attcollation), ''),
	COALESCE((SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
		WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]), ''),
	COALESCE((SELECT string_agg('DROP CONSTRAINT ' || quote_ident(k.conname), ', ') FROM pg_constraint k
		WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]), '')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped
	AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%'`

func postgresUpgrade() upgradeWords {
	return upgradeWords{
		added: []addition{
			{"host", "http_get_port", "INT CHECK (http_get_port >= 0 AND http_get_port < 65536)"},
			{"host", "altip", "VARCHAR(15) UNIQUE"},
			{"host", "altmask", "VARCHAR(18)"},
			{"device", "mb_asof", "INT CHECK (mb_asof >= 0)"},
			{"device", "weight", "INT DEFAULT 100"},
			{"class", "replpolicy", "VARCHAR(255)"},
			{"class", "hashtype", "SMALLINT"},
			{"file_to_queue", "arg", "TEXT"},
		},
		altered: []alteration{
			{"device", "status", postgresStates(deviceStates)},
			{"server_settings", "value", postgresText},
			{"file_to_queue", "arg", postgresText},
			{"device", "mb_total", postgresInt},
			{"device", "mb_used", postgresInt},
			{"host", "status", postgresStates(hostStates)},
		},
	}
}

func postgresText(name string, is column) string {
	if is.kind == "text" || is.kind == "character varying" {
		return ""
	}
	return "ALTER " + name + " TYPE TEXT"
}

func postgresInt(name string, is column) string {
	if is.kind != "smallint" {
		return ""
	}
	return "ALTER " + name + " TYPE INT"
}

// postgresStates names the condition as the peer does.
func postgresStates(want []string) func(string, column) string {
	return func(name string, is column) string {
		states := gained(is.limits, want)
		if states == nil || is.limits == "" {
			return ""
		}
		return is.undo + ", ADD CONSTRAINT " + name + " CHECK (" + name + " IN (" + quoted(states) + "))"
	}
}

const sqliteColumns = `SELECT m.name, p.name, p.type, '', '', '' FROM sqlite_master m JOIN pragma_table_info(m.name) p
	WHERE m.type IN ('table', 'view')`

// sqliteUpgrade has no types to change: a column takes whatever comes
// (docs/spec/schema.md §1.1).
func sqliteUpgrade() upgradeWords {
	return upgradeWords{added: []addition{
		{"class", "replpolicy", "VARCHAR(255)"},
		{"class", "hashtype", "TINYINT UNSIGNED"},
		{"file_to_queue", "arg", "TEXT"},
	}}
}
