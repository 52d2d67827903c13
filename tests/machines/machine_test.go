package machines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/network"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// role is what there is on a machine.
type role struct {
	name string
	// database: a MariaDB and a tracker; storage: a node with a device.
	database, storage bool
}

// machine is one with all that runs on it. What it has not is nil.
type machine struct {
	*network.Machine
	role
	site  *site
	dev   int
	caddy *process.Caddy
	db    *database.Server
	dir   string
}

// edge is where the keys of the domain are.
func (m *machine) edge() string { return "http://" + m.Address + ":8080/images/" }

func (m *machine) trackerAddr() string { return m.Address + ":7001" }

// mariaOptions is as docs/two-machines.md has it: one that comes back is read-only until
// somebody says otherwise.
func mariaOptions(id string) []string {
	return []string{
		"--log-bin", "--binlog-format=ROW", "--server-id=" + id, "--read-only=1",
		"--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1",
		"--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-slave-enabled=1",
		"--rpl-semi-sync-master-wait-point=AFTER_SYNC", "--rpl-semi-sync-master-timeout=2000",
	}
}

func (m *machine) startDatabase(t *testing.T) {
	t.Helper()
	m.db = database.OwnMariaDBAt(t, database.Place{Host: m.Address, Start: m.Start}, mariaOptions(m.Address[len(m.Address)-1:])...)
}

// caddyfile is that of docs/two-machines.md.
func (m *machine) caddyfile() string {
	var b strings.Builder
	b.WriteString("{\n\tadmin " + m.Address + ":2019\n\tmogilefs {\n")
	if m.database {
		c := m.site.account
		b.WriteString(strings.NewReplacer("RANGE", m.site.wire.Range, "ADDRESS", m.Address, "USER", c.User, "PASSWORD", c.Passwd, "NAME", c.DBName,
			"PRIMARY", m.primary()).Replace(`		tracker {
			listen ADDRESS:7001
			allow RANGE
			admin_allow RANGE
			setting min_free_space 0
			database mysql USER@tcp({file.PRIMARY})/NAME {
				password PASSWORD
				timeout 5s
			}
		}
`))
	}
	if m.storage {
		register := "register " + m.site.trackers()
		if m.database {
			register = "register"
		}
		b.WriteString(strings.NewReplacer("RANGE", m.site.wire.Range, "ADDRESS", m.Address, "MACHINE", m.Name, "DEVID", strconv.Itoa(m.dev), "REGISTER", register).Replace(`		storage MACHINE {
			root data/storage
			devices DEVID
			address ADDRESS:7500
			management ADDRESS:7501
			write_from RANGE
			REGISTER
		}
`))
	}
	if m.database {
		b.WriteString("\t\tdomain images\n")
	}
	b.WriteString("\t}\n}\n")
	if m.storage {
		b.WriteString("\nhttp://:7500 {\n\tbind " + m.Address + "\n\tmogilefs_storage\n}\n")
	}
	tracker := ""
	if !m.database {
		tracker = "\n\t\t\ttracker " + m.site.trackers()
	}
	b.WriteString("\nhttp://:8080 {\n\tbind " + m.Address + "\n\thandle_path /images/* {\n\t\tmogilefs images {\n\t\t\tmethods GET PUT" + tracker + "\n\t\t}\n\t}\n}\n")
	return b.String()
}

func (m *machine) primary() string { return filepath.Join(m.dir, "primary") }

func (m *machine) startCaddy(t *testing.T) {
	t.Helper()
	m.caddy = process.Start(t, process.Options{
		Dir: m.dir, Caddyfile: m.caddyfile(), Binary: process.PlainBinary(t), Host: m.Address, Launch: m.Start,
		Ready: []string{m.Address + ":8080"},
	})
}

// script runs one of packaging/two-machines.
func (m *machine) script(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", "packaging", "two-machines", name), args...)
	cmd.Env = append(os.Environ(), "HOME="+m.dir, "CADDY="+process.PlainBinary(t), "CADDYFILE="+filepath.Join(m.dir, "Caddyfile"),
		"PRIMARY_FILE="+m.primary(), "DATABASE="+m.site.account.DBName,
		"REPLICATION_USER="+m.site.admin.User, "REPLICATION_PASSWORD="+m.site.admin.Passwd)
	began := time.Now()
	out, err := m.Run(cmd)
	if err != nil {
		t.Fatalf("%s %q on %s: %v\n%s", name, args, m.Name, err, out)
	}
	t.Logf("%s on %s took %v", name, m.Name, time.Since(began).Round(time.Millisecond))
}

// welcome lets the scripts in to the machine's MariaDB.
func (m *machine) welcome(t *testing.T, admin *mysql.Config) {
	t.Helper()
	text := "[client]\nsocket=" + m.db.Socket() + "\nuser=" + admin.User + "\npassword=" + admin.Passwd + "\n"
	if err := os.WriteFile(filepath.Join(m.dir, ".my.cnf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lose takes the machine away as a power cut does: it says nothing more, to anybody.
func (m *machine) lose(t *testing.T) {
	t.Helper()
	m.Pull()
	m.caddy.Kill()
	if m.db != nil {
		if err := m.db.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}
