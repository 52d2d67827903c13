package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var errInjected = errors.New("injected")

// failAfter makes the statement after the next n fail, and no other, until healed;
// heal reports whether one failed. The ROLLBACK that ends a lost transaction is
// spared: SQLite ends it even when it complains.
func failAfter(s *Store, n int) (heal func() bool) {
	t := s.db.database.(*sqliteDB).writer.tx
	works, failed := t.stmt, false
	t.stmt = func(text string) (*sql.Stmt, error) {
		if text == "ROLLBACK" {
			return works(text)
		}
		if n--; n == -1 {
			failed = true
			return nil, errInjected
		}
		return works(text)
	}
	return func() bool {
		t.stmt = works
		return failed
	}
}

// dump is every row of every table.
func dump(t *testing.T, s *Store) (rows []string) {
	t.Helper()
	checked := append(tables[:len(tables):len(tables)], struct{ name, columns string }{"lock", "lockid, pid"})
	err := s.db.read(context.Background(), func(tx *tx) error {
		for _, table := range checked {
			columns := "quote(" + strings.ReplaceAll(table.columns, ", ", ") || ' ' || quote(") + ")"
			found, err := list(tx, single[string], "SELECT '"+table.name+" ' || "+columns+" FROM "+table.name+" ORDER BY 1")
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	return rows
}

// busyTables has something for every change of sweptChanges to do.
var busyTables = []string{
	"INSERT INTO domain VALUES (1, 'empty'), (2, 'classes'), (3, 'files')",
	"INSERT INTO class (dmid, classid, classname, mindevcount) VALUES (1, 0, 'default', 2), (2, 1, 'unused', 2)",
	"INSERT INTO host (hostid, hostname) VALUES (1, 'unused')",
	"INSERT INTO device (devid, hostid) VALUES (1, 2), (2, 2)",
	"INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES (5, 3, 'key', 1, 0, 1)",
	"INSERT INTO file_on (fid, devid) VALUES (5, 1)",
	"INSERT INTO checksum (fid, hashtype, checksum) VALUES (6, 1, x'00')",
	"INSERT INTO tempfile (fid, createtime, classid, dmid, devids) VALUES (6, 0, 0, 3, '1,2'), (7, 0, 0, 3, '1,2')",
	"INSERT INTO file_to_delete2 (fid, nexttry) VALUES (20, 0), (21, 0), (22, 5), (23, 6)",
	"INSERT INTO file_on (fid, devid) VALUES (8, 1)", // the next fid of the sequence
	"INSERT INTO fsck_log (utime, evcode) VALUES (0, 'MISS'), (0, 'GONE')",
}

// sweptChanges are the changes of more than one statement.
func sweptChanges(ctx context.Context) map[string]func(*Store) error {
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}
	return map[string]func(*Store) error{
		"Delete":       func(s *Store) error { _, err := s.Delete(ctx, 3, "key"); return err },
		"SetClass":     func(s *Store) error { return s.SetClass(ctx, 5, 1) },
		"AddCopy":      func(s *Store) error { return s.AddCopy(ctx, 5, 2) },
		"RemoveCopies": func(s *Store) error { return s.RemoveCopies(ctx, 5, 1, 2) },
		"Reap":         func(s *Store) error { _, err := s.Reap(ctx, 1, 9); return err },
		"Renew": func(s *Store) error {
			_, err := s.Renew(ctx, store.DeleteQueue, time.Hour, store.Item{FID: 22, Until: 5}, store.Item{FID: 23, Until: 6})
			return err
		},
		"Finish": func(s *Store) error {
			return s.Finish(ctx, store.DeleteQueue, store.Item{FID: 20}, store.Item{FID: 22, Until: 5})
		},
		"FinishErased": func(s *Store) error {
			return s.FinishErased(ctx, store.Erased{Item: store.Item{FID: 20}}, store.Erased{Item: store.Item{FID: 8}, Devices: []mogile.DevID{1}})
		},
		"ForgetContent":    func(s *Store) error { return s.ForgetContent(ctx, 6) },
		"OpenUpload":       func(s *Store) error { _, err := s.OpenUpload(ctx, store.Upload{}); return err },
		"OpenUpload as 99": func(s *Store) error { _, err := s.OpenUpload(ctx, store.Upload{FID: 99}); return err },
		"CloseUpload": func(s *Store) error {
			_, err := s.CloseUpload(ctx, store.Closing{FID: 6, Dev: 1, Domain: 3, Key: "key", Checksum: sum})
			return err
		},
		"AbandonUpload": func(s *Store) error { return s.AbandonUpload(ctx, 6, 1) },
		"SweepUploads":  func(s *Store) error { _, err := s.SweepUploads(ctx, time.Hour, 9); return err },
		"Enqueue":       func(s *Store) error { return s.Enqueue(ctx, store.ReplicateQueue, 0, 1, 2, 3) },
		"Claim":         func(s *Store) error { _, err := s.Claim(ctx, store.DeleteQueue, 9, time.Hour); return err },
		"CreateDomain":  func(s *Store) error { _, err := s.CreateDomain(ctx, "new"); return err },
		"DeleteDomain":  func(s *Store) error { return s.DeleteDomain(ctx, "empty") },
		"CreateClass": func(s *Store) error {
			_, err := s.CreateClass(ctx, mogile.Class{Domain: 1, Name: "new"})
			return err
		},
		"DeleteClass":    func(s *Store) error { return s.DeleteClass(ctx, 2, 1) },
		"CreateHost":     func(s *Store) error { _, err := s.CreateHost(ctx, mogile.Host{Name: "new"}); return err },
		"DeleteHost":     func(s *Store) error { return s.DeleteHost(ctx, 1) },
		"SetDeviceUsage": func(s *Store) error { return s.SetDeviceUsage(ctx, []mogile.Device{{ID: 1}, {ID: 2}}) },
		"LogFsck": func(s *Store) error {
			return s.LogFsck(ctx, store.FsckEvent{Code: "MISS"}, store.FsckEvent{Code: "GONE"})
		},
		"FoldFsckLog": func(s *Store) error { return s.db.write(ctx, foldLog) },
		"EnqueueWork": func(s *Store) error {
			return s.EnqueueWork(ctx, store.WorkRow{FID: 1, Kind: store.FsckWork}, store.WorkRow{FID: 1, Kind: store.RebalanceWork})
		},
		"ChangeSettings": func(s *Store) error {
			return s.ChangeSettings(ctx, func(map[string]string) (store.SettingChanges, error) {
				return store.SettingChanges{Set: map[string]string{"a": "1", "b": "2"}, Unset: []string{"c"}}, nil
			})
		},
		"Lock": func(s *Store) error { _, err := s.Lock(ctx, "name", 0); return err },
	}
}

// TestAnErrorAtAnyStatementIsReportedAndChangesNothing fails statement 0, 1, 2 … of
// each change, those of the transaction around it among them, until none fails.
func TestAnErrorAtAnyStatementIsReportedAndChangesNothing(t *testing.T) {
	for name, change := range sweptChanges(t.Context()) {
		t.Run(name, func(t *testing.T) {
			for i := 0; ; i++ {
				s := mustOpen(t, memory)
				raw(t, s, busyTables...)
				before := dump(t, s)
				heal := failAfter(s, i)
				err := change(s)
				if !heal() {
					if err != nil || cmp.Equal(dump(t, s), before) {
						t.Errorf("without a failure: got error %v; want nil and a change", err)
					}
					return
				}
				if !errors.Is(err, errInjected) {
					t.Errorf("statement %d failed: got %v; want %v", i, err, errInjected)
				}
				if diff := cmp.Diff(before, dump(t, s)); diff != "" {
					t.Errorf("statement %d failed: got a changed database; want it as before\n%s", i, diff)
				}
			}
		})
	}
}

func TestAnErrorAtAnyReadIsReported(t *testing.T) {
	for i := 0; ; i++ {
		s := mustOpen(t, memory)
		heal := failAfter(s, i)
		_, err := s.LoadTopology(t.Context())
		if !heal() {
			if err != nil {
				t.Errorf("load topology: got %v; want nil", err)
			}
			return
		}
		if !errors.Is(err, errInjected) {
			t.Errorf("load topology, statement %d failed: got %v; want %v", i, err, errInjected)
		}
	}
}
