package cache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
)

// TestAccess asks a real Redis: every user, every command that anybody might try, on keys of each
// service. What is declared works; the rest is refused.
func TestAccess(t *testing.T) {
	passwords := map[string]string{"watcher": "w-secret", "planner": "p-secret", "operator": "o-secret"}
	acl, err := cache.ACL("neap:", cache.AccessList(), passwords)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range passwords {
		if strings.Contains(acl, password) {
			t.Errorf("the file holds the password %q", password)
		}
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte(acl), 0o600); err != nil {
		t.Fatal(err)
	}
	server := cachetest.Start(t, "--aclfile", file)
	const keysOfWatcher, keysOfPlanner, everyKey = "neap:taskdef:x neap:notices neap:tasks:c:i neap:catalogue:r:n:d neap:learned:c neap:refused:c neap:snapshot:c",
		"neap:plan:c neap:standing:c", "neap:taskdef:x neap:notices neap:plan:c neap:standing:c"
	may := map[string]map[string]string{
		"watcher":  {"get": keysOfWatcher, "set": keysOfWatcher},
		"planner":  {"get": keysOfPlanner, "set": keysOfPlanner},
		"operator": {"get": everyKey},
		"default":  {},
	}
	var keys []string
	for key := range strings.FieldsSeq(keysOfWatcher + " " + keysOfPlanner + " other:x neap") {
		keys = append(keys, key)
	}
	for user, allowed := range may {
		client := redis.NewClient(&redis.Options{Addr: server.Addr, Username: user, Password: passwords[user], DisableIdentity: true})
		t.Cleanup(func() { _ = client.Close() })
		if err := client.Ping(t.Context()).Err(); (err == nil) != (user != "default") {
			t.Errorf("%s: ping: %v", user, err)
		}
		for _, key := range keys {
			for _, command := range []string{"get", "set", "del", "expire"} {
				args := []any{command, key}
				if command == "set" || command == "expire" {
					args = append(args, "1")
				}
				err := client.Do(t.Context(), args...).Err()
				want := strings.Contains(" "+allowed[command]+" ", " "+key+" ")
				if user == "operator" && command == "get" && strings.HasPrefix(key, "neap:") {
					want = true
				}
				if works := err == nil || err == redis.Nil; works != want { //nolint:errorlint // it is the value itself
					t.Errorf("%s %s %s: %v, want it to work: %t", user, command, key, err, want)
				}
			}
		}
		for _, command := range []string{"FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET *", "EVAL return 0", "ACL LIST", "SHUTDOWN", "CLIENT LIST", "INFO", "SAVE", "PUBLISH c m", "MONITOR"} {
			var args []any
			for word := range strings.FieldsSeq(command) {
				args = append(args, word)
			}
			if err := client.Do(t.Context(), args...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("%s %s: %v", user, command, err)
			}
		}
	}
}
