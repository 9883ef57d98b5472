package harness

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
)

// The test itself looks at everything, and plays strangers who may do anything.
const tester = "test"

// awsSecret is a canary: nobody but the SDK has any business with it.
const awsSecret = "canary-of-the-secret-access-key"

// reserved is more than the streams of some generations reserve.
const reserved = 64 << 30

// guarded is a ground on which each service has users of its own on NATS and Redis, which may do
// what neap access says and nothing else.
func guarded(t *testing.T) Ground {
	t.Helper()
	dir := t.TempDir()
	if out, errOut, status := Run(t, "neap", Bare(), "access", "create", "--dir", dir); status != 0 {
		t.Fatalf("neap access create: exit status %d\n%s%s", status, out, errOut)
	}
	edit(t, filepath.Join(dir, "nats.conf"), func(text string) string {
		return strings.Replace(text, "users = [", "users = [ {user: "+tester+", password: "+tester+"}", 1)
	})
	edit(t, filepath.Join(dir, "users.acl"), func(text string) string {
		return text + "user " + tester + " on >" + tester + " ~* &* +@all\n"
	})
	s, err := natsembed.Start(natsembed.Options{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", Config: filepath.Join(dir, "nats.conf"),
		MaxBytes: reserved, // whatever is free on the disk of the machine: nothing near it is written
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cache := cachetest.Start(t, "--aclfile", filepath.Join(dir, "users.acl"))
	return Ground{NATS: withUser(t, s.URL(), url.UserPassword(tester, tester)), Redis: cache.URL, Replicas: 1, access: dir}
}

func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(change(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func withUser(t *testing.T, address string, user *url.Userinfo) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = user
	return u.String()
}

// as is the environment in which a user reaches NATS and Redis.
func (g Ground) as(user string) []string {
	if g.access == "" {
		return []string{"NATS_URL=" + g.NATS, "REDIS_URL=" + g.Redis}
	}
	u, _ := url.Parse(g.NATS) // it was put together here
	u.User = nil
	env := []string{"NATS_URL=" + u.String(), "NATS_NKEY_FILE=" + filepath.Join(g.access, user+".nk"), "NATS_INBOX_PREFIX=_INBOX_" + user}
	password := filepath.Join(g.access, user+".redis")
	if _, err := os.Stat(password); err != nil {
		return env // it has no business with Redis
	}
	u, _ = url.Parse(g.Redis)
	u.User = url.User(user)
	return append(env, "REDIS_URL="+u.String(), "REDIS_PASSWORD_FILE="+password)
}

// secrets are all that the processes were told in confidence.
func (s *System) secrets() map[string]string {
	s.T.Helper()
	all := map[string]string{awsSecret: "that of AWS"}
	for _, pattern := range []string{"*.nk", "*.redis"} {
		files, err := filepath.Glob(filepath.Join(s.ground.access, pattern))
		if err != nil {
			s.T.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				s.T.Fatal(err)
			}
			all[strings.TrimSpace(string(content))] = filepath.Base(file)
		}
	}
	return all
}

// discreet checks that no secret is in a log, in a message, in a record or in what the world shows of
// its instances.
func (s *System) discreet() {
	s.T.Helper()
	places := map[string]string{}
	for _, name := range Sorted(s.Running) {
		places["the log of "+name] = s.Running[name].Output()
	}
	answer, err := http.Get(s.AWSURL + "/_neap/state")
	if err != nil {
		s.T.Fatal(err)
	}
	state, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		s.T.Fatal(err)
	}
	places["the world"] = string(state)
	maps.Copy(places, s.messages())
	secrets := s.secrets()
	for _, place := range Sorted(places) {
		for secret, name := range secrets {
			if strings.Contains(places[place], secret) {
				s.T.Errorf("%s holds the secret %s", place, name)
			}
		}
	}
}

// messages are all that NATS keeps, by stream: what is compressed as it was written.
func (s *System) messages() map[string]string {
	s.T.Helper()
	texts := map[string]string{}
	kept := func(stream string, of any, err error) {
		if err != nil && !errors.Is(err, bus.ErrForeign) {
			return // a stranger's, or damaged by a test
		}
		text, err := json.Marshal(of)
		if err != nil {
			s.T.Fatal(err)
		}
		texts["stream "+stream] += string(text) + "\n"
	}
	for p, err := range s.Bus.Plans(s.T.Context(), Cluster, 0) {
		kept("PLAN", p.Value, err)
		if r, err := s.Bus.Record(s.T.Context(), Cluster, p.Value.ID); err == nil {
			kept("of records", r, nil)
		}
	}
	for o, err := range s.Bus.Outcomes(s.T.Context(), Cluster, 0) {
		kept("OUTCOME", o.Value, err)
	}
	if snap, _, err := s.Bus.LatestSnapshot(s.T.Context(), Cluster); err == nil {
		kept("SNAPSHOT", snap, nil)
	}
	return texts
}

// permitted checks that no service asked for more than its users may do.
func (s *System) permitted() {
	s.T.Helper()
	if s.ground.access == "" {
		return
	}
	s.discreet()
	for _, name := range Sorted(s.Running) {
		for line := range strings.Lines(s.Running[name].Output()) {
			if strings.Contains(strings.ToLower(line), "permissions violation") {
				s.T.Errorf("%s: %s", name, line)
			}
		}
	}
	u, _ := url.Parse(s.ground.Redis)
	client := redis.NewClient(&redis.Options{Addr: u.Host, Username: tester, Password: tester})
	defer func() { _ = client.Close() }()
	denied, err := client.ACLLog(s.T.Context(), 10).Result()
	if err != nil {
		s.T.Errorf("what Redis denied: %v", err)
	}
	for _, entry := range denied {
		s.T.Errorf("Redis denied %s: %s %s", entry.Username, entry.Reason, entry.Object)
	}
}
