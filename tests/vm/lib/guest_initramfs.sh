# shellcheck shell=bash disable=SC2154
# The initramfs: busybox, the modules that reach the host's tree, and guest/init. Cached by kernel and contents.
# Needs: vm_dir, vm_cache, kernel_version, kernel_modules, die MESSAGE.

# What the guest needs before it can see the host's /lib/modules; everything else is autoloaded from there.
readonly boot_modules=(virtio_pci virtio_console virtiofs overlay)

# Prints the files of boot_modules and of all they need, in the order in which they can be inserted.
boot_module_files() {
  local module line file i deps
  for module in "${boot_modules[@]}"; do
    if ! line=$(grep -E "(^|/)${module//_/[-_]}\.ko(\.(xz|gz|zst))?:" "$kernel_modules/modules.dep"); then
      grep -qE "/${module//_/[-_]}\.ko$" "$kernel_modules/modules.builtin" ||
        die "kernel $kernel_version has no $module, which the guest needs"
      continue
    fi
    file=${line%%:*}
    # modules.dep lists all that a module needs, directly or not, and what must go in first comes last.
    read -ra deps <<<"${line#*:}"
    for ((i = ${#deps[@]} - 1; i >= 0; i--)); do echo "${deps[i]}"; done
    echo "$file"
  done | awk '!seen[$0]++'
}

# copy_module FILE TARGET: uncompressed, since busybox's insmod need not know the format.
copy_module() {
  case $1 in
    *.xz) xz -dc "$1" >"$2" ;;
    *.zst) zstd -qdc "$1" >"$2" ;;
    *.gz) gzip -dc "$1" >"$2" ;;
    *) cp "$1" "$2" ;;
  esac
}

# pack_cpio DIRECTORY: writes the directory as the kernel wants it to standard output.
pack_cpio() (
  cd "$1" || exit
  find . -mindepth 1 | LC_ALL=C sort | busybox cpio -o -H newc 2>/dev/null
)

# Prints the path of the initramfs for the selected kernel; builds it if it is not in the cache.
ensure_initramfs() {
  local files key image tree file index=10
  files=$(boot_module_files)
  key=$({
    cat "$vm_dir/guest/init" "$vm_dir/guest/session" "${BASH_SOURCE[0]}" "$(type -P busybox)"
    while read -r file; do echo "$file"; cat "$kernel_modules/$file"; done <<<"$files"
  } | sha256sum | cut -c 1-16)
  image=$vm_cache/initramfs-$kernel_version-$key.cpio
  if [[ ! -s $image ]]; then
    mkdir -p "$vm_cache"
    tree=$(mktemp -d "$vm_cache/initramfs.XXXXXX")
    mkdir -p "$tree"/{bin,modules,proc,sys,dev,lower,upper,root,control}
    cp "$(type -P busybox)" "$tree/bin/busybox"
    install -m 755 "$vm_dir/guest/init" "$tree/init"
    install -m 755 "$vm_dir/guest/session" "$tree/control/session"
    while read -r file; do  # numbered: init inserts them by name order
      copy_module "$kernel_modules/$file" "$tree/modules/$((index++))-$(basename "${file%%.ko*}").ko"
    done <<<"$files"
    pack_cpio "$tree" >"$tree.cpio"
    rm -rf "$tree" "$vm_cache/initramfs-$kernel_version"-*.cpio
    mv "$tree.cpio" "$image"  # in one step: two runs may build it at the same time
  fi
  echo "$image"
}
