#!/usr/bin/env bash
# The programs that read our NetCDF files in tests: NCO, the C library's own, R, and Python of 2018;
# and, with CDO, Octave and Ferret, our datasets by OPeNDAP; with GDAL, by Zarr.
#
#   readers.sh install       Debian packages, as root; nothing to do for what is there
#   readers.sh missing       names what is not there, one a line
#   readers.sh python        the path of a python 3.7 or 3.8 with h5py 2 and netCDF4 1.4 or 1.5, in
#                            a venv of its own (.venv-readers), made once where there is such a python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DOWNLOAD_SECONDS=120

# What is asked for, and the Debian package that has it.
declare -A programs=([ncks]=nco [nccopy]=netcdf-bin [ncdump]=netcdf-bin [Rscript]=r-base-core)
# Of these each comes or not, whatever becomes of the others.
declare -A lone_programs=(
  [cdo]=cdo [octave]=octave-netcdf [gdalinfo]=gdal-bin [pyferret]=python3-ferret
)
declare -A r_packages=([ncdf4]=r-cran-ncdf4 [RNetCDF]=r-cran-rnetcdf [stars]=r-cran-stars)

# Lines of a name and the package that is missing for it.
missing_packages() {
  local name
  for name in "${!programs[@]}"; do
    command -v "$name" >/dev/null || echo "$name ${programs[$name]}"
  done
  for name in "${!r_packages[@]}"; do
    [ -n "$(find /usr/lib/R /usr/local/lib/R -maxdepth 3 -name "$name" -print -quit 2>/dev/null)" ] ||
      echo "$name ${r_packages[$name]}"
  done
}

missing_lone_packages() {
  local name
  for name in "${!lone_programs[@]}"; do
    command -v "$name" >/dev/null || echo "$name ${lone_programs[$name]}"
  done
}

install_all() {
  local package failed=0
  mapfile -t packages < <(missing_packages | cut -d' ' -f2 | sort -u)
  install_packages "${packages[@]}" || failed=1
  for package in $(missing_lone_packages | cut -d' ' -f2); do
    install_packages "$package" || failed=1
  done
  return "$failed"
}

install_packages() {
  local packages=("$@")
  if [ "${#packages[@]}" = 0 ]; then return; fi
  # Two test workers may come here at once: the second waits for the first.
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  # R's recommended packages and its compilers are a gigabyte that no test needs. What is long in
  # coming is given up before anything is unpacked.
  local fetch=(install -y --no-install-recommends)
  timeout "$DOWNLOAD_SECONDS" "${apt[@]}" "${fetch[@]}" --download-only "${packages[@]}" || {
    echo "readers: ${packages[*]} did not come within $DOWNLOAD_SECONDS seconds" >&2
    return 1
  }
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${fetch[@]}" "${packages[@]}"
}

# The path of pythonX.Y under pyenv or on PATH, if it runs.
interpreter() {
  local candidate
  for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python "$(command -v "python$1")"; do
    if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

old_python() {
  local venv=.venv-readers python
  local -a pins=(h5py==2.9.0 netCDF4==1.4.3.2 numpy==1.19.5 cftime==1.6.2 six==1.17.0)
  if ! python=$(interpreter 3.7); then
    pins=(h5py==2.10.0 netCDF4==1.5.3 numpy==1.19.5 cftime==1.6.2 six==1.17.0)
    python=$(interpreter 3.8) || {
      echo "readers: no python3.7 or python3.8 is here" >&2
      return 1
    }
  fi
  # One at a time makes it; it is whole when its stamp is there.
  exec 9<scripts/readers.sh
  flock 9
  if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "${pins[*]}" ]; then
    "$python" -m venv --clear "$venv" >&2
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input \
      install --only-binary :all: "${pins[@]}" >&2
    printf '%s' "${pins[*]}" >"$venv/.stamp"
  fi
  echo "$PWD/$venv/bin/python"
}

case "${1-}:$#" in
  install:1) install_all ;;
  missing:1) { missing_packages && missing_lone_packages; } | cut -d' ' -f1 ;;
  python:1) old_python ;;
  *)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
