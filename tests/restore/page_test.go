package restore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

// installed is a database, and how the page's commands come to it.
type installed struct {
	// caddyfile is its line there.
	caddyfile string
	// words are what the page's paths and names are here, in pairs.
	words []string
	// save, restore and raise are how the page's lines begin.
	save, restore, raise string
	// ask is the program that takes a statement, with its arguments.
	ask []string
	// home has the files that programs look for.
	home string
}

func onSQLite(t *testing.T) installed {
	file, saved := filepath.Join(t.TempDir(), "mogilefs.db"), filepath.Join(t.TempDir(), "mogilefs.db")
	return installed{
		caddyfile: "sqlite " + file, words: []string{"/var/lib/mogilefs/mogilefs.db", file, "/backup/mogilefs.db", saved},
		save: "sqlite3 ", restore: "sqlite3 ", raise: "UPDATE sqlite_sequence ", ask: []string{"sqlite3", file}, home: t.TempDir(),
	}
}

func onMariaDB(t *testing.T) installed {
	dsn := database.MariaDB(t).MustCreate(t, "")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(config.Addr, ":")
	home := t.TempDir()
	client := fmt.Sprintf("[client]\nprotocol=tcp\nhost=%s\nport=%s\nuser=%s\npassword=%s\n", host, port, config.User, config.Passwd)
	if err := os.WriteFile(filepath.Join(home, ".my.cnf"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	return installed{
		caddyfile: "mysql " + dsn, words: []string{"mogilefs.sql", "mogilefs.sql", "mogilefs", config.DBName},
		save: "mariadb-dump ", restore: "zcat ", raise: "ALTER TABLE tempfile ", ask: []string{"mariadb", config.DBName, "--execute"}, home: home,
	}
}

func onPostgres(t *testing.T) installed {
	dsn := database.Postgres(t).MustCreate(t, "")
	return installed{
		caddyfile: "postgres " + dsn, words: []string{"mogilefs.dump", "mogilefs.dump", "mogilefs", "'" + dsn + "'"},
		save: "pg_dump ", restore: "pg_restore ", raise: "SELECT setval", ask: []string{"psql", dsn, "--set=ON_ERROR_STOP=1", "--command"}, home: t.TempDir(),
	}
}

// line is the one line of a section of the page that begins so.
func line(t *testing.T, section, begin string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	found := regexp.MustCompile("(?m)^ *("+regexp.QuoteMeta(begin)+".*)$").FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%s: got lines %q that begin with %q; want one", section, found, begin)
	}
	return found[0][1]
}

// run has a shell run a line of the page, and returns what it prints.
func (i installed) run(t *testing.T, line string) string {
	t.Helper()
	return i.do(t, exec.CommandContext(t.Context(), "bash", "-ec", "set -o pipefail; "+strings.NewReplacer(i.words...).Replace(line)))
}

// tell gives the database a statement of the page.
func (i installed) tell(t *testing.T, statement string) {
	t.Helper()
	i.do(t, exec.CommandContext(t.Context(), i.ask[0], append(i.ask[1:], statement)...))
}

func (i installed) do(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Dir, cmd.Env = i.home, append(os.Environ(), "HOME="+i.home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}
