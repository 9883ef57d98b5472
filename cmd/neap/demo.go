package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

type demoCmd struct {
	Scenario string  `help:"What to play: tour, scale-out, headroom, spot, scale-down or spot-storm." default:"tour" placeholder:"NAME"`
	List     bool    `help:"Tell what each scenario shows, and play none."`
	Speed    float64 `help:"Seconds of simulated time in one real second." default:"6"`
	Seed     uint64  `help:"Seed of the simulated AWS." default:"1"`
	Headless bool    `help:"Print events as they come instead of drawing the cluster."`
	Output   string  `help:"How to print: text, or json for one document at the end." enum:"text,json" default:"text" short:"o"`
	SVG      string  `name:"svg" help:"Also write a picture of the busiest moment." placeholder:"FILE"`
	Log      string  `help:"Write the services' logs to a file." placeholder:"FILE"`
}

// Help shows examples.
func (*demoCmd) Help() string {
	return `Everything runs in this process: a real nats-server with JetStream, Redis (embedded unless REDIS_URL
is set), a simulated AWS that the services reach over HTTP through the real SDK, and the services
as they are. Nothing outside is touched. The exit status is 0 if all that the story expects held.

Examples:
  neap demo
  neap demo --list
  neap demo --scenario scale-down
  neap demo --scenario spot-storm --speed 10
  neap demo --headless --output json --speed 60`
}

// Pace of the demo.
const (
	maxSpeed  = 120.0                  // faster, the services cannot keep up with their own beats
	drawEvery = 100 * time.Millisecond // smooth to the eye, cheap for the terminal
	lookEvery = 50 * time.Millisecond  // at the truth of the world
)

// demoResult is the document that --output json prints.
type demoResult struct {
	OK              bool     `json:"ok"`
	Scenario        string   `json:"scenario"`
	Seed            uint64   `json:"seed"`
	Speed           float64  `json:"speed"`
	SimulatedTime   string   `json:"simulated_time"`
	TasksPendingMax int      `json:"tasks_pending_max"`
	TasksPendingEnd int      `json:"tasks_pending_end"`
	InstancesPeak   int      `json:"instances_peak"`
	InstancesEnd    int      `json:"instances_end"`
	CostPerHourPeak float64  `json:"cost_per_hour_peak"`
	CostPerHourEnd  float64  `json:"cost_per_hour_end"`
	Expectations    []result `json:"expectations"`
	Events          []event  `json:"events"`
}

// result is an expectation and whether it held.
type result struct {
	Chapter string `json:"chapter"`
	Expect  string `json:"expect"`
	Held    bool   `json:"held"`
}

// Run plays a story.
func (d *demoCmd) Run(ctx context.Context, c console) error {
	if d.List {
		return d.list(c.out)
	}
	tale, err := storyNamed(d.Scenario)
	if err != nil {
		return err
	}
	if d.Speed <= 0 || d.Speed > maxSpeed {
		return fmt.Errorf("%w: --speed %g: use more than 0 and at most %g", fleet.ErrInvalid, d.Speed, maxSpeed)
	}
	out, err := d.play(ctx, c, tale)
	if err != nil {
		return err
	}
	if d.Output == "json" {
		if err := writeJSON(c.out, out); err != nil {
			return err
		}
	} else {
		d.conclude(c.out, out)
	}
	if !out.OK {
		return errExpectation
	}
	return nil
}

// list tells what each story shows.
func (d *demoCmd) list(w io.Writer) error {
	type shown struct {
		Scenario string   `json:"scenario"`
		About    string   `json:"about"`
		Chapters []string `json:"chapters"`
	}
	var all []shown
	for _, s := range stories() {
		one := shown{Scenario: s.name, About: s.about}
		for _, c := range s.chapters {
			one.Chapters = append(one.Chapters, c.title)
		}
		all = append(all, one)
	}
	if d.Output == "json" {
		return writeJSON(w, all)
	}
	var b bytes.Buffer
	for _, s := range all {
		fmt.Fprintf(&b, "%-12s%s\n", s.Scenario, s.About)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// play starts everything, plays the story and stops everything.
func (d *demoCmd) play(ctx context.Context, c console, tale story) (*demoResult, error) {
	dir, err := os.MkdirTemp("", "neap-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, closeLog, err := d.openLog()
	if err != nil {
		return nil, err
	}
	defer closeLog()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the simulated AWS: %w", err)
	}
	server, queue, err := d.openAWS(listener, tale)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	frame, err := service.Load[service.Config]("")
	if err != nil {
		return nil, err
	}
	frame.HealthAddr, frame.LogFormat = "", "text"

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(ctx, listener) })
	s, err := openStack(ctx, stackConfig{
		dataDir: dir, redisURL: os.Getenv("REDIS_URL"), natsURL: os.Getenv("NATS_URL"),
		aws:          cloud.Config{Region: region, Endpoint: "http://" + listener.Addr().String(), Unsigned: true},
		installation: "neap-demo", clusters: []fleet.ClusterName{clusterName}, eventQueue: queue,
		beat: d.scaled(15 * time.Second), tick: d.scaled(time.Second), log: log, frame: frame,
	})
	if err != nil {
		cancel()
		return nil, errors.Join(err, ignoreCancelled(g.Wait()))
	}
	defer s.close()
	var out *demoResult
	g.Go(func() error { return s.serve(ctx) })
	g.Go(func() error {
		defer cancel() // the story is over: everything stops
		out, err = d.tell(ctx, c, tale, s.bus, server)
		return err
	})
	if err := ignoreCancelled(g.Wait()); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, context.Canceled
	}
	return out, nil
}

// region is where the simulated cluster is.
const region = "us-east-1"

// eventQueue is the SQS queue that the simulated AWS fills.
const eventQueue = "neap-events"

// scaled is a real duration for one of the world's time; no beat is shorter than 20 ms.
func (d *demoCmd) scaled(of time.Duration) time.Duration {
	return max(time.Duration(float64(of)/d.Speed), 20*time.Millisecond)
}

func (d *demoCmd) openLog() (io.Writer, func(), error) {
	if d.Log == "" {
		return io.Discard, func() {}, nil
	}
	f, err := os.Create(filepath.Clean(d.Log))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: --log: %w", fleet.ErrInvalid, err)
	}
	return f, func() { _ = f.Close() }, nil
}

// openAWS makes the world of a story and its server, and returns the URL of its event queue.
func (d *demoCmd) openAWS(listener net.Listener, tale story) (*awssim.Server, string, error) {
	world, err := sim.New(sim.Config{
		Seed: d.Seed, Region: region, Endpoint: "http://" + listener.Addr().String(), EventQueues: []string{eventQueue},
	})
	if err != nil {
		return nil, "", err
	}
	queue, err := world.GetQueueURL(&sim.GetQueueURLInput{QueueName: eventQueue})
	if err != nil {
		return nil, "", err
	}
	if err := runScript(world, tale.setup); err != nil {
		return nil, "", err
	}
	return awssim.New(world, awssim.Options{Speed: d.Speed}), queue.QueueURL, nil
}

func runScript(world *sim.World, text string) error {
	script, err := sim.ParseScript(text)
	if err != nil {
		return err
	}
	return script.Run(world)
}

// tell plays the chapters, watching.
func (d *demoCmd) tell(ctx context.Context, c console, tale story, b *bus.Bus, server *awssim.Server) (*demoResult, error) {
	policy := demoPolicy(server)
	if tale.policy != nil {
		tale.policy(&policy)
	}
	policy = policy.WithDefaults()
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	if _, err := b.Control().ApplyPolicy(ctx, clusterName, policy, nil); err != nil {
		return nil, err
	}
	p := &player{demo: d, console: c, tale: tale, server: server, bus: b}
	p.observer.scene.units = policy.Headroom.Units
	p.observer.scene.speed = d.Speed
	return p.play(ctx)
}

// demoPolicy is the policy of the demo's cluster: as the defaults, but in less of a hurry
// to wait, for a person watches.
func demoPolicy(server *awssim.Server) fleet.Policy {
	off, spot := false, 50
	p := fleet.Policy{
		Cluster: clusterName, DryRun: &off,
		Limits:   fleet.Limits{MaxInstances: 40},
		Headroom: fleet.Headroom{Units: []fleet.HeadroomUnit{{CPUUnits: 1024, MemoryMiB: 2048, Count: 2}}},
		ScaleDown: fleet.ScaleDown{
			MaxPercentage: 25, StableFor: fleet.Duration(time.Minute), Cooldown: fleet.Duration(time.Minute), MinLifetime: fleet.Duration(4 * time.Minute),
		},
		Drain: fleet.DrainPolicy{Timeout: fleet.Duration(5 * time.Minute)},
		LaunchSpecs: []fleet.LaunchSpec{{
			Name: "default", Images: []string{"/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"},
			InstanceProfile: "ecsInstanceRole", SecurityGroups: []string{"sg-0123456789abcdef0"}, SpotPercentage: &spot,
			Types: fleet.TypeFilter{Allow: []string{"m7i.*", "c7i.*", "r7i.*"}, MaxVCPUs: 8},
		}},
	}
	server.World(func(w *sim.World) {
		out, err := w.DescribeSubnets(&sim.DescribeSubnetsInput{})
		if err != nil {
			return // the policy is refused for want of subnets
		}
		for _, s := range out.Subnets {
			p.LaunchSpecs[0].Subnets = append(p.LaunchSpecs[0].Subnets, fleet.SubnetID(s.SubnetID))
		}
	})
	return p
}

// conclude prints how it ended.
func (d *demoCmd) conclude(w io.Writer, out *demoResult) {
	verdict := "Everything that was expected held."
	if !out.OK {
		verdict = "Not everything that was expected held."
	}
	fmt.Fprintf(w, "\n%s %s of simulated time.\n", verdict, out.SimulatedTime)
	chapter := ""
	for _, r := range out.Expectations {
		if r.Chapter != chapter {
			chapter = r.Chapter
			fmt.Fprintf(w, "\n%s\n", chapter)
		}
		mark := "✓"
		if !r.Held {
			mark = "✗"
		}
		fmt.Fprintf(w, "  %s %s\n", mark, r.Expect)
	}
	fmt.Fprintf(w, "\nAt most %d tasks waited, %d wait now. Instances: %d at the peak, %d now. Cost: $%.2f/h at the peak, $%.2f/h now.\n",
		out.TasksPendingMax, out.TasksPendingEnd, out.InstancesPeak, out.InstancesEnd, out.CostPerHourPeak, out.CostPerHourEnd)
	if d.Scenario == "tour" {
		fmt.Fprintln(w, "Next, on a cluster of yours and read-only: neap plan --cluster NAME")
	}
}

func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// screen draws frames on a terminal, in place.
type screen struct {
	w     io.Writer
	style func(tint) lipgloss.Style
}

// openScreen takes over the terminal if there is one.
func openScreen(w io.Writer) (*screen, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	// The other screen buffer, without a cursor: what was there comes back at the end.
	fmt.Fprint(w, "\x1b[?1049h\x1b[?25l")
	return &screen{w: w, style: styles(lipgloss.NewRenderer(w))}, true
}

// draw shows a scene, cut to what the terminal has room for.
func (s *screen) draw(now *scene) {
	width, height := frameWidth, 0
	if file, ok := s.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(file.Fd())); err == nil {
			width, height = w, h
		}
	}
	lines := now.draw(width).terminal(s.style)
	if height > 0 && len(lines) > height-1 {
		lines = lines[:height-1]
	}
	fmt.Fprintf(s.w, "\x1b[H%s\x1b[K\x1b[J", strings.Join(lines, "\x1b[K\r\n"))
}

func (s *screen) close() { fmt.Fprint(s.w, "\x1b[?25h\x1b[?1049l") }
