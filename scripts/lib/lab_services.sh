# shellcheck shell=bash
# The lab's servers, its load, and how each is started and asked whether it works. Sourced by scripts/lab.

# In the order in which they are started: whoever is talked to comes before whoever talks.
# shellcheck disable=SC2034  # read by scripts/lab
readonly LAB_SERVICES=(nginx-a nginx-b dnsmasq haproxy blackbox prometheus load)
declare -rA SERVICE_PART=(
  [nginx-a]=a [nginx-b]=b [dnsmasq]=mon [haproxy]=edge [blackbox]=client [prometheus]=mon [load]=client)
declare -rA SERVICE_ADDRESS=(
  [nginx-a]=10.77.0.11:8080 [nginx-b]=10.77.0.12:8080 [dnsmasq]=10.77.0.5:53 [haproxy]=10.77.0.2:80
  [blackbox]=10.77.0.20:9115 [prometheus]=10.77.0.5:9090 [load]='')

# 30 customers, each sending 5 requests a second: 150 a second. So many that a server which hangs for a second does not
# take the load off the other one. Bounded: a lab that somebody forgot is quiet after an hour.
readonly LOAD_CUSTOMERS=30 LOAD_RATE=5 LOAD_DURATION=1h

# render TEMPLATE [NAME] – prints a template of lab.d with its @MARKS@ filled in.
render() {
  local name=${2:-} v6='s/@V6@//'
  have_ipv6 || v6='/@V6@/d'
  sed -e "$v6" -e "s|@STATE@|$LAB_STATE|g" -e "s|@NAME@|$name|g" \
    -e "s|@ADDRESS4@|${name:+$(part_address4 "$name")}|g" -e "s|@ADDRESS6@|${name:+$(part_address6 "$name")}|g" \
    "$HOLDFAST_ROOT/scripts/lab.d/$1"
}

# render_haproxy MODE
render_haproxy() {
  render haproxy.cfg >"$LAB_STATE/conf/haproxy.cfg"
  render "haproxy-$1.cfg" >>"$LAB_STATE/conf/haproxy.cfg"
}

services_configure() {
  local server file
  for server in a b; do
    render nginx.conf "$server" >"$LAB_STATE/conf/nginx-$server.conf"
  done
  for file in dnsmasq.conf resolv.conf blackbox.yml prometheus.yml; do
    render "$file" >"$LAB_STATE/conf/$file"
  done
  mkdir -p "$LAB_STATE/data/prometheus"
  chown nobody:nogroup "$LAB_STATE/data/prometheus"
}

# The command of a service, in COMMAND.
service_command() {
  local conf=$LAB_STATE/conf
  local as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups --)
  case $1 in
    nginx-*) COMMAND=(nginx -e stderr -p "$LAB_STATE/data" -c "$conf/$1.conf") ;;
    dnsmasq) COMMAND=(dnsmasq --conf-file="$conf/dnsmasq.conf") ;;
    haproxy) COMMAND=(haproxy -db -f "$conf/haproxy.cfg") ;;
    blackbox)
      # Its timeout is the scrape's less a little, not less half a second.
      COMMAND=("${as_nobody[@]}" prometheus-blackbox-exporter --config.file="$conf/blackbox.yml"
        --web.listen-address=10.77.0.20:9115 --timeout-offset=0.05)
      with_lab_names "${COMMAND[@]}"
      ;;
    prometheus)
      COMMAND=("${as_nobody[@]}" prometheus --config.file="$conf/prometheus.yml" --log.level=warn
        --web.listen-address=10.77.0.5:9090 --storage.tsdb.path="$LAB_STATE/data/prometheus"
        --storage.tsdb.retention.time=2h)
      ;;
    load)
      COMMAND=("${as_nobody[@]}" hey -z "$LOAD_DURATION" -c "$LOAD_CUSTOMERS" -q "$LOAD_RATE" -t 5
        http://10.77.0.2/)
      ;;
  esac
}

# with_lab_names CMD… – in COMMAND: the same, with the lab's name server in /etc/resolv.conf, in a mount namespace of
# its own. (/etc/netns/ would do it too, but is the host's.)
with_lab_names() {
  # shellcheck disable=SC2016  # expanded by that shell
  COMMAND=(unshare --mount --propagation private -- sh -c
    'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$LAB_STATE/conf/resolv.conf" "$@")
}

# The process gets a session of its own (Ctrl-C at the terminal is not for it) and none of our descriptors: it must hold
# neither the lab's lock nor a pipe whose reader waits for its end. Every step execs, so the pid stays the same.
service_start() {
  local service=$1 part=${SERVICE_PART[$1]} COMMAND
  service_command "$service"
  (
    for fd in "/proc/$BASHPID/fd/"*; do
      fd=${fd##*/}
      ((fd <= 2)) || eval "exec $fd>&-"
    done
    exec setsid nsenter --net="/run/netns/$(part_namespace "$part")" -- "${COMMAND[@]}" \
      </dev/null >>"$LAB_STATE/log/$service.log" 2>&1
  ) &
  service_record "$service" $! "$(part_namespace "$part")"
  disown
}

_service_gone() { ! service_pid "$1" >/dev/null; }

service_stop() {
  local pid signal
  for signal in TERM KILL; do
    pid=$(service_pid "$1") || return 0
    kill -s "$signal" "$pid" 2>/dev/null || true
    wait_until 5 _service_gone "$1" || true
  done
  _service_gone "$1"
}

_fetch() { in_part "$1" curl -fsS -m 2 -o /dev/null "$2" 2>/dev/null; }

# Whether a service does its work. Asked from its own namespace, so that a fault between two parts, which is what the lab
# is for, is not taken for a broken lab.
service_healthy() {
  local service=$1
  service_pid "$service" >/dev/null || return 1
  case $service in
    nginx-*) _fetch "${SERVICE_PART[$service]}" "http://${SERVICE_ADDRESS[$service]}/health" ;;
    dnsmasq) [[ $(in_part mon dig +short +time=1 +tries=1 @10.77.0.5 api.shop.test A 2>/dev/null) == 10.77.0.2 ]] ;;
    haproxy) _fetch edge http://10.77.0.2:8405/metrics ;;
    blackbox) _fetch client http://10.77.0.20:9115/-/healthy ;;
    prometheus) _fetch mon http://10.77.0.5:9090/-/ready ;;
    load) true ;;
  esac
}

# Ends the script: what failed, the last lines of its log, what to do.
service_failed() {
  local service=$1 what=$2
  warn "the last lines of $LAB_STATE/log/$service.log:"
  tail -n 15 "$LAB_STATE/log/$service.log" >&2 || true
  die "lab \"$LAB_NAME\": $service $what" \
    "mend what its log says, then \`scripts/lab --name $LAB_NAME up\` again (what is left is swept)"
}

# Returns once the service works; ends the script when it ended or does not work within 30 seconds.
service_await() {
  local service=$1 deadline=$((SECONDS + 30))
  until service_healthy "$service"; do
    service_pid "$service" >/dev/null || service_failed "$service" "ended right after its start"
    ((SECONDS < deadline)) || service_failed "$service" "runs, but does not answer"
    sleep 0.1
  done
}

# Whether a PromQL expression has a result.
prometheus_says() {
  in_part mon curl -fsS -m 2 http://10.77.0.5:9090/api/v1/query --data-urlencode "query=$1" 2>/dev/null |
    jq -e '.data.result | length > 0' >/dev/null 2>&1
}

# What the plans of experiments/ take for granted: name and query, in the order in which they come true.
readonly LAB_READY=(
  'both servers answer the load through the edge'
  'count(rate(haproxy_server_http_responses_total{proxy="shop",code="2xx"}[5s]) > 20) == 2'
  'no answer of the last seconds was an error'
  'sum(rate(haproxy_frontend_http_responses_total{proxy="edge",code="5xx"}[5s])) == 0'
  'the customer reaches edge, shop and name server'
  'count(min_over_time(probe_success{job=~"edge|shop|dns"}[3s]) == 1) == 3'
  'Prometheus has enough scrapes for a rate'
  'count_over_time(up{job="haproxy"}[30s]) >= 7'
)

# lab_await_traffic SINCE – SINCE: seconds since the epoch when HAProxy was started; what was scraped of the one before
# it says nothing.

lab_await_traffic() {
  local i
  wait_until 40 prometheus_says "haproxy_process_start_time_seconds >= $1" ||
    service_failed prometheus "has not scraped the edge"
  wait_until 40 prometheus_says 'haproxy_process_uptime_seconds > 6' ||
    service_failed haproxy "is not seen to stay up"
  for ((i = 0; i < ${#LAB_READY[@]}; i += 2)); do
    wait_until 40 prometheus_says "${LAB_READY[i + 1]}" ||
      service_failed haproxy "or what is around it does not come up to this: ${LAB_READY[i]}"
  done
}
