package dsn

import "strings"

// perlDSN begins the DSN of a Perl tracker, in any case.
const perlDSN = "dbi:pg:"

// Libpq turns a Perl DSN, "DBI:Pg:dbname=mogilefs;host=db1", into libpq's words. Any
// other is returned as it is.
func Libpq(dsn string) string {
	if len(dsn) < len(perlDSN) || !strings.EqualFold(dsn[:len(perlDSN)], perlDSN) {
		return dsn
	}
	var words []string
	for attribute := range strings.SplitSeq(dsn[len(perlDSN):], ";") {
		name, value, ok := strings.Cut(attribute, "=")
		if name = strings.TrimSpace(name); name == "" && !ok {
			continue
		}
		if name == "db" || name == "database" {
			name = "dbname"
		}
		words = append(words, name+"="+quoteWord(unquote(strings.TrimSpace(value))))
	}
	return strings.Join(words, " ")
}

// unquote takes the quotes from a value that Perl needs them for.
func unquote(value string) string {
	if len(value) >= 2 && (value[0] == '\'' || value[0] == '"') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}

func quoteWord(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
