package legacy

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Audit reads all tables as 2.73 does, and lists the rows that it could not read or would
// not have written (docs/spec/schema.md §1, §5.1 and §9). Uploads are those after a fid:
// those before may be older than all trackers.
func (t *Tracker) Audit(ctx context.Context, after mogile.FID) (complaints []string, err error) {
	if err := t.CheckVersion(ctx); err != nil {
		return nil, err
	}
	for _, look := range audits {
		args := []any{}
		if look.afterFID {
			args = append(args, after)
		}
		rows, err := list(ctx, t, look.judge, look.text, args...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", look.text, err)
		}
		for _, complaint := range rows {
			if complaint != "" {
				complaints = append(complaints, complaint)
			}
		}
	}
	return complaints, nil
}

// audit is a question of the reference's, and what is wrong with one of the rows; empty
// when nothing is.
type audit struct {
	text     string
	judge    func(*sql.Rows) (string, error)
	afterFID bool
}

var (
	deviceList = regexp.MustCompile(`^(\d+(,\d+)*)?$`)
	// policyText is how a class names what Perl shall load.
	policyText = regexp.MustCompile(`^((MultipleHosts|MultipleDevices|MultipleNetworks|HostsPerNetwork|Union)\(.*\))?$`)
	eventCode  = regexp.MustCompile(`^[A-Z]{4}$`)
)

var audits = []audit{
	{text: "SELECT dmid, namespace FROM domain", judge: judge(func(id int, name sql.NullString) bool {
		return id > 0 && id <= 65535 && name.Valid
	})},
	{text: "SELECT mindevcount, COALESCE(hashtype, 1) FROM class", judge: judge(func(min, hash int) bool {
		return min >= 1 && min <= 255 && (hash == 1 || hash == 2)
	})},
	{text: "SELECT classid, COALESCE(replpolicy, '') FROM class", judge: judge(func(id int, policy string) bool {
		return id >= 0 && id <= 255 && policyText.MatchString(policy)
	})},
	{text: "SELECT classid, devcount FROM file", judge: judge(func(class, devcount int) bool {
		return class >= 0 && class <= 255 && devcount >= 0 && devcount <= 255
	})},
	{text: "SELECT length, dkey FROM file WHERE dkey IS NOT NULL", judge: judge(func(length int64, key string) bool {
		return length >= 0 && key != ""
	})},
	{text: "SELECT fid, COALESCE(devids, '') FROM tempfile WHERE fid > ?", afterFID: true, judge: judge(func(_ int64, devids string) bool {
		return deviceList.MatchString(devids)
	})},
	{text: "SELECT createtime, classid FROM tempfile", judge: judge(func(created int64, class int) bool {
		return created <= Parked && class >= 0 && class <= 255
	})},
	{text: "SELECT fid, devid FROM file_on", judge: judge(func(fid int64, dev int) bool { return fid > 0 && dev > 0 })},
	{text: "SELECT nexttry, failcount FROM file_to_replicate", judge: judge(inQueue)},
	{text: "SELECT nexttry, failcount FROM file_to_delete2", judge: judge(inQueue)},
	{text: "SELECT nexttry, failcount FROM file_to_queue", judge: judge(inQueue)},
	{text: "SELECT type, COALESCE(arg, '') FROM file_to_queue", judge: judge(func(kind int, arg string) bool {
		return (kind == 1 || kind == 2) && deviceList.MatchString(arg)
	})},
	{text: "SELECT hostid, COALESCE(status, 'down') FROM host", judge: judge(func(_ int, status string) bool {
		return status == "alive" || status == "dead" || status == "down" || status == "readonly"
	})},
	{text: "SELECT devid, COALESCE(status, 'down') FROM device", judge: judge(func(_ int, status string) bool {
		return status == "alive" || status == "dead" || status == "down" || status == "readonly" || status == "drain"
	})},
	{text: "SELECT COALESCE(mb_total, 0), COALESCE(mb_used, 0) FROM device", judge: judge(func(total, used int64) bool {
		return total >= 0 && used >= 0 && total < 1<<32 && used < 1<<32
	})},
	{text: "SELECT hashtype, LENGTH(checksum) FROM checksum", judge: judge(func(kind, length int) bool {
		return kind == 1 && length == 16 || kind == 2 && length == 20
	})},
	{text: "SELECT logid, COALESCE(evcode, 'NONE') FROM fsck_log", judge: judge(func(_ int64, code string) bool {
		return eventCode.MatchString(code)
	})},
	{text: "SELECT field, COALESCE(value, '') FROM server_settings", judge: judge(func(field, _ string) bool {
		return len(field) <= 50
	})},
}

// inQueue: docs/spec/schema.md §5.1.
func inQueue(nextTry int64, failCount int) bool {
	state := nextTry == 0 || nextTry == 1 || nextTry >= 1000 && nextTry <= Parked
	return state && failCount >= 0 && failCount <= 255
}

// judge reads rows of two columns.
func judge[A, B any](fine func(A, B) bool) func(*sql.Rows) (string, error) {
	return func(rows *sql.Rows) (string, error) {
		var a A
		var b B
		if err := rows.Scan(&a, &b); err != nil {
			return "", err
		}
		if fine(a, b) {
			return "", nil
		}
		names, err := rows.Columns()
		return fmt.Sprintf("%s = %v, %s = %v", names[0], a, names[1], b), err
	}
}
