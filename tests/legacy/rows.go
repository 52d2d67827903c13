package legacy

import "fmt"

// Highest is the greatest fid in [Rows]. It waits to be deleted: no file, copy or upload
// has one as great.
const Highest = 400

// Keys are the keys of [Rows] in the domain images, by fid. Those that a latin1 table of
// MySQL can't hold over a utf8mb4 connection are missing there.
var Keys = map[int]string{101: "plain.jpg", 102: "grün/straße.jpg", 104: "a b&c=%.jpg", 106: "Akte Ж/日本語.png"}

// Rows fills the tables of a version with something for each, as an installation in use
// has it. The storage node of device 1 and 2 is at ip and port; there is no other. latin1
// leaves out what the charset doesn't have.
func Rows(k Kind, v Variant, ip string, port uint16, latin1 bool) []string {
	r := &rows{kind: k, version: v.Version}
	if r.version == 0 {
		r.version = Current
	}
	r.topology(ip, port)
	r.files(latin1)
	r.uploads()
	r.queues()
	r.settings()
	if !v.Bare {
		r.add("INSERT INTO unreachable_fids (fid, lastupdate) VALUES (105, 1)")
		r.add("INSERT INTO file_on_corrupt (fid, devid) VALUES (105, 1)")
	}
	return r.texts
}

type rows struct {
	kind    Kind
	version int
	texts   []string
}

func (r *rows) add(text string, args ...any) { r.texts = append(r.texts, fmt.Sprintf(text, args...)) }

// since adds what the tables can hold from a version on.
func (r *rows) since(version int, text string, args ...any) {
	if r.version >= version {
		r.add(text, args...)
	}
}

// now is the time in the database's words, moved by some seconds.
func (r *rows) now(seconds int) string {
	switch r.kind {
	case Postgres:
		return fmt.Sprintf("CAST(EXTRACT(EPOCH FROM NOW()) AS INT) + (%d)", seconds)
	case SQLite:
		return fmt.Sprintf("CAST(strftime('%%s', 'now') AS INT) + (%d)", seconds)
	}
	return fmt.Sprintf("UNIX_TIMESTAMP() + (%d)", seconds)
}

func (r *rows) topology(ip string, port uint16) {
	r.add("INSERT INTO domain (dmid, namespace) VALUES (1, 'images'), (2, 'empty'), (7, 'Foreign')")
	r.add("INSERT INTO class (dmid, classid, classname, mindevcount) VALUES (1, 0, 'default', 3), (1, 1, 'thumb', 1), (1, 2, 'original', 2)")
	r.since(10, "UPDATE class SET replpolicy = 'MultipleHosts(2)' WHERE classid = 2")
	r.since(15, "UPDATE class SET hashtype = 1 WHERE classid = 1")
	r.add("INSERT INTO host (hostid, status, http_port, hostname, hostip) VALUES (1, 'alive', %d, 'a', '%s')", port, ip)
	r.add(`INSERT INTO host (hostid, status, http_port, http_get_port, hostname, hostip, altip, altmask) VALUES
		(2, 'down', 7500, 7600, 'b', '127.7.0.2', '127.8.0.2', '127.8.0.0/16'),
		(3, 'dead', 7500, NULL, 'c', '127.7.0.3', NULL, NULL)`)
	r.since(17, "INSERT INTO host (hostid, status, hostname, hostip) VALUES (9, 'readonly', 'd', '127.7.0.9')")
	r.add(`INSERT INTO device (devid, hostid, status, weight, mb_total, mb_used, mb_asof) VALUES
		(1, 1, 'alive', 100, 10240, 1024, 1), (2, 1, 'alive', 50, NULL, NULL, NULL), (3, 2, 'alive', 100, 10240, 1024, 1),
		(4, 3, 'dead', 100, 10240, 1024, 1), (5, 2, 'down', NULL, 10240, 1024, 1), (6, 1, 'readonly', 0, 10240, 1024, 1)`)
	r.since(9, "INSERT INTO device (devid, hostid, status) VALUES (8, 1, 'drain')")
}

func (r *rows) files(latin1 bool) {
	r.add(`INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES
		(101, 1, '%s', 5, 1, 2), (102, 1, '%s', 6, 0, 1), (104, 1, '%s', 0, 9, 1),
		(103, 7, 'elsewhere', 7, 0, 2), (105, 1, 'without/copy', 8, 0, 0)`, Keys[101], Keys[102], Keys[104])
	if !latin1 {
		r.add("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (106, 1, '%s', 9, 2, 1)", Keys[106])
		r.add("INSERT INTO file_on (fid, devid) VALUES (106, 1)")
	}
	r.add(`INSERT INTO file_on (fid, devid) VALUES (101, 1), (101, 2), (102, 1), (103, 1), (103, 4), (104, 3),
		(200, 1), (210, 1), (211, 1)`)
	sum := "X'5D41402ABC4B2A76B9719D911017C592'" // MD5 of hello
	if r.kind == Postgres {
		sum = `'\x5D41402ABC4B2A76B9719D911017C592'`
	}
	r.since(15, "INSERT INTO checksum (fid, hashtype, checksum) VALUES (101, 1, %s)", sum)
}

func (r *rows) uploads() {
	r.add(`INSERT INTO tempfile (fid, createtime, classid, dmid, dkey, devids) VALUES
		(300, %s, 1, 1, 'young', '1,2'), (301, %s, 0, 1, 'stale', '1,2,3'), (302, %s, 0, 99, NULL, NULL),
		(303, %s, 0, 1, 'garbage', 'x,,2')`, r.now(0), r.now(-7200), r.now(-7200), r.now(-7200))
}

func (r *rows) queues() {
	r.add("INSERT INTO file_to_delete (fid) VALUES (210)")
	r.since(7, "INSERT INTO file_to_delete_later (fid, delafter) VALUES (211, %s)", r.now(600))
	r.since(12, "INSERT INTO file_to_delete2 (fid, nexttry, failcount) VALUES (200, %s, 0), (201, %s, 255), (%d, %s, 3)",
		r.now(-5), r.now(900), Highest, r.now(86400))
	r.since(6, `INSERT INTO file_to_replicate (fid, nexttry, fromdevid, failcount) VALUES
		(101, 0, NULL, 0), (102, 1, NULL, 2), (103, %s, 1, 0), (105, 2147483647, NULL, 255)`, r.now(1000))
	r.since(11, `INSERT INTO file_to_queue (fid, devid, type, nexttry, arg) VALUES
		(101, NULL, 1, %s, NULL), (101, 1, 2, %s, '2,3'), (102, NULL, 1, %s, NULL)`, r.now(0), r.now(1000), r.now(1000))
	r.since(8, `INSERT INTO fsck_log (utime, fid, evcode, devid) VALUES (%s, 101, 'MISS', 1), (%s, NULL, 'REPL', NULL)`,
		r.now(-60), r.now(-50))
}

func (r *rows) settings() {
	for _, row := range [][2]string{
		{"fsck_host", "old-tracker"}, {"fsck_highest_fid_checked", "100"}, {"fsck_fid_at_end", "106"},
		{"fsck_start_time", "1700000000"}, {"fsck_sum_evcount_POVI", "3"}, {"fsck_logid_processed", "1"},
		{"rebal_policy", "from_devices=1 to_devices=2"}, {"rebal_state", "completed_devs= source_devs=1 fids_queued=7"},
		{"enable_rebalance", "1"}, {"fsck_enable", "0"}, {"our_own", "kept"}, {"skip_devcount", "0"},
		{"memcache_servers", "127.0.0.1:11211"}, {"network_zones", "near,far"}, {"zone_near", "127.7.0.0/16"},
	} {
		r.add("INSERT INTO server_settings (field, value) VALUES ('%s', '%s')", row[0], row[1])
	}
}
