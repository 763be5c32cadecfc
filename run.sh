#!/usr/bin/env bash
# Streaming speech recognition with XLSR-Transducer: data, five training stages, decoding, scoring.
#
#   ./run.sh                                    the built-in corpus, from nothing to a table of error rates
#   ./run.sh --stage 6 --stop_stage 6           train stage 2 of the paper (run.sh stages 5 to 9 are its stages 1 to 5)
#   ./run.sh --variants all                     with every row of conf/stages.yaml
#   ./run.sh --corpus none --train_set mine     your own Kaldi directories data/mine, data/dev, data/test
#
# run.sh stages: 1 data preparation, 2 audio formatting and validation, 3 token training, 4 shape statistics,
#   5 training stage 1 (full attention), 6 training stage 2 (chunked masking), 7 training stage 3 (left context),
#   8 training stage 4 (multi-chunk), 9 training stage 5 (attention sinks), 10 decoding, 11 scoring,
#   12 report with pictures, 13 packing.
# What is done already is not done again; a changed option redoes what depends on it.

# shellcheck disable=SC2329 # stages are called by number
set -euo pipefail

# Options
# Which stages
stage=1                # first stage
stop_stage=13          # last stage
skip_data=false        # leave out stages 1 to 4
skip_train=false       # leave out stages 5 to 9
skip_eval=false        # leave out stages 10 to 13
quiet=false            # say warnings, errors and the final table only
debug=false            # a few utterances and steps of every stage, in data/debug, dump/debug and exp/debug
# Data
corpus=mini            # folder below egs/, or a path, with local/data.sh and conf/; none: data/<set> exist already
workdir=               # where data/, dump/ and exp/ lie; empty: beside run.sh
local_data_opts=       # options for local/data.sh, see its --help
train_set=train        # training set, a Kaldi directory data/<set>
valid_set=dev          # validation set
test_sets="test test_long"  # sets to decode
train_hours=all        # train on so many hours of the training set, spread over its speakers: 0.17 (ten minutes), 1, ...; all
speed_perturb_factors= # train on copies at these speeds too, for instance "0.9 1.0 1.1"
allow_pipes=false      # whether commands may stand in wav.scp: they are run
drop_bad=false         # leave out utterances whose audio cannot be used, and list them, instead of stopping
min_wav_duration=0.1   # seconds of the shortest utterance to train on
max_wav_duration=30.0  # seconds of the longest
audio_format=auto      # of the formatted audio: flac, wav, flac.ark (archives), or auto: flac.ark from 100,000 utterances on
dumpdir=dump           # formatted audio
expdir=exp             # experiments
token_type=auto        # bpe, char, or auto: char for the built-in corpus, else bpe
nbpe=400               # number of SentencePiece tokens
use_ngram=auto         # train an n-gram model of tokens on the transcripts, for decoding configurations with `lm: ngram`:
                       #   true, false, or auto: where there are at most 5 MB of text (it is made in memory)
ngram_num=8            # tokens of its longest n-gram
lm_train_text=auto     # more text for it: files such as data/<set>/text; auto: data/local/other_text/text, if the corpus has it
# Training
stages_config=conf/stages.yaml  # stage table; the corpus's own conf/stages.yaml is laid over the default
variants=default       # rows to train and decode: default, all, or names such as "1 2b 3b"
train_config=conf/train_small.yaml  # training configuration, or several, later ones laid over earlier ones: "a.yaml b.yaml"
pretrained=            # encoder to start from: torchaudio bundle, HF directory or hub id, fairseq file, our export;
                       #   none: random weights; empty: the one that train_config names
adapt=false            # before training stage 1, adapt that encoder to streaming on audio without transcripts
adapt_sets=            # this audio: sets in data/ or folders of audio files; empty: the whole training set
adapt_config=conf/adapt.yaml # how: self-supervised objective, contexts, epochs
asr_tag=               # name of the experiment; empty: from train_config and tokens
asr_exp=               # path of the experiments without _stage<variant>; empty: <expdir>/asr_<asr_tag>; debug: in a folder debug/ there
seed=0                 # of training
num_splits_asr=1       # parts in which the training set is read: so many times less memory for its list of utterances
# Decoding
decode_configs="conf/decode_*.yaml"  # decoding configurations (also --inference_config)
decode_all=false       # decode every model with every configuration, also in contexts it never saw
inference_asr_model=ave # best (epoch), ave (average of the n best) or a file name
# Machines; cmd_backend=slurm ./run.sh (or sge, pbs, ssh) runs jobs on a cluster, see cmd.sh and docs/clusters.md
ngpu=auto              # GPUs of a node; auto: one if there is one, 0: CPU
num_nodes=auto         # nodes; without GPU: CPU ranks; auto: one node, or where jobs run here a rank for each core and every 3 GB of memory, at most 4
gpu_inference=auto     # whether decoding uses a GPU: true, false, or auto as ngpu
nj=2                   # parallel jobs of data preparation
inference_nj=2         # parallel jobs of decoding; on one machine they share its --ngpu GPUs
# End of options

option_aliases="inference_config:decode_configs inference_configs:decode_configs decode_config:decode_configs"
export XLSRT_COMMAND="$0 $*"; if [ -L "$0" ]; then exec bash "$(readlink -f "$0")" "$@"; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/utils/parse_options.sh"; option_names=$(_options_names)
unset XLSRT_PYTHON_BIN; . "$here/path.sh" # asked anew: the environment may have changed since a shell sourced it
. "$here/cmd.sh"
die() { echo "run.sh: error: $*" >&2; exit 2; }
{ mkdir -p "${workdir:=$root}" && cd "$workdir"; } 2>/dev/null || die "--workdir $workdir: cannot be made or entered: choose another place"

# Names first: nothing below depends on which stages run.
config() { # a configuration file: as given, or of the corpus, or of the recipe
  local place; for place in "$1" "$corpus_dir/$1" "$root/$1"; do if [ -f "$place" ]; then echo "$place"; return; fi; done
  die "configuration $1 is neither here nor in ${corpus_dir:-the recipe} nor in $root"
}
case $corpus in
  none) corpus_dir= ;;
  */*) corpus_dir=$(cd "$corpus" && pwd) || die "--corpus $corpus: no such folder" ;;
  *) corpus_dir=$root/egs/$corpus; [ -d "$corpus_dir" ] || die "--corpus $corpus: there is no egs/$corpus" ;;
esac
folders=("${corpus_dir:-$root}" "$root"); [ . -ef "$root" ] || folders=(. "${folders[@]}") # where decoding configurations are looked up
datadir=data source_dir=data last_config=() failed=0; export XLSRT_QUIET=$quiet
if "$debug"; then
  datadir=data/debug
  if [ "$corpus" = mini ]; then source_dir=$datadir local_data_opts+=" --size smoke"; fi
  dumpdir=$dumpdir/debug expdir=$expdir/debug asr_exp=${asr_exp:+$(dirname "$asr_exp")/debug/$(basename "$asr_exp")}; [ "$nbpe" != 400 ] || nbpe=40
  [ "$train_config" != conf/train_small.yaml ] || train_config=conf/train_tiny.yaml
  last_config=("$(config conf/debug.yaml)")
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # a busy machine makes two threads on small products many times slower
fi
read -ra train_configs <<< "$train_config"; [ "${#train_configs[@]}" -gt 0 ] || die "--train_config is empty: name one"; train_yaml=()
for name in "${train_configs[@]}"; do train_yaml+=("$(config "$name")"); done
adapt_yaml=$(config "$adapt_config")
stages_yaml=("$(config "$stages_config")")
if [ "$stages_config" = conf/stages.yaml ]; then stages_yaml=("$root/conf/stages.yaml"); for place in "${corpus_dir:-$root}" .; do
  if [ -f "$place/conf/stages.yaml" ] && ! [ "$place" -ef "$root" ] && ! [ "$place/conf/stages.yaml" -ef "${stages_yaml[-1]}" ]; then stages_yaml+=("$place/conf/stages.yaml"); fi
done; fi
hours=_${train_hours}h; hours=${hours#_allh}
if [ "$token_type" = auto ]; then token_type=bpe; [ "$corpus/$debug" != mini/false ] || token_type=char; fi
case $token_type in
  bpe) token_tag=bpe$nbpe token_dir=$datadir/token_list/bpe_unigram$nbpe${speed_perturb_factors:+_sp}$hours; bpemodel=(--bpemodel "$token_dir/bpe.model") ;;
  char) token_tag=char token_dir=$datadir/token_list/char${speed_perturb_factors:+_sp}$hours; bpemodel=() ;;
  *) die "--token_type $token_type: write bpe, char or auto" ;;
esac
whole_dump=$dumpdir/raw/$train_set${speed_perturb_factors:+_sp} train_dump=$dumpdir/raw/$train_set${speed_perturb_factors:+_sp}$hours
valid_dump=$dumpdir/raw/$valid_set stats_dir=$expdir/asr_stats_$token_tag${speed_perturb_factors:+_sp}$hours
train_name=$(basename -as .yaml "${train_configs[@]}" | paste -sd _) adapt_exp=$expdir/adapt_${train_name#train_} adapt_from=$pretrained adapted=
if "$adapt"; then adapted=_adapted pretrained=$adapt_exp/encoder; fi
asr_exp=${asr_exp:-$expdir/asr_${asr_tag:-${train_name#train_}_$token_tag${speed_perturb_factors:+_sp}$hours$adapted}} expdir=$(dirname "$asr_exp") # tables and report lie beside the models
gpus=$({ nvidia-smi --list-gpus 2>/dev/null || true; } | wc -l)
if [ "$ngpu" = auto ]; then ngpu=$((gpus > 0)); fi; [[ $ngpu =~ ^[0-9]+$ ]] || die "--ngpu $ngpu: write a number or auto"
if [ "$num_nodes" = auto ] && [ "$ngpu" = 0 ] && [ "${cmd_backend:-local}" = local ] && ! "$debug"; then # a rank for each core:
  num_nodes=$("$root/utils/auto_ranks.sh") # as far as memory goes
elif [ "$num_nodes" = auto ]; then num_nodes=1; fi; [ "$cmd_backend:$((ngpu > 0 && num_nodes > 1))" != local:1 ] || die "--ngpu $ngpu --num_nodes $num_nodes: cmd_backend=local has one node; choose another in cmd.sh"
[[ $num_nodes =~ ^[1-9][0-9]*$ ]] || die "--num_nodes $num_nodes: write a number or auto"
decode_gpus=$ngpu gpus_here=0; case $gpu_inference in true) decode_gpus=$((ngpu > 0 ? ngpu : 1)) ;; false) decode_gpus=0 ;; esac # shared here; on a queue one a job
if [ "$cmd_backend" = local ]; then gpus_here=$((ngpu > decode_gpus ? ngpu : decode_gpus)); fi
read -ra tests <<< "$test_sets"; shopt -s nullglob; mapfile -t all_sets < <(printf '%s\n' "$train_set" "$valid_set" "${tests[@]}" | awk '!seen[$0]++')
if ((stop_stage >= 10)) && ! "$skip_eval" && ((${#tests[@]} == 0)); then die "--test_sets is empty: name sets to decode, or add --skip_eval true"; fi
if [[ -n $speed_perturb_factors && " $valid_set ${tests[*]} " = *" $train_set "* ]]; then die "--train_set $train_set is among --valid_set and --test_sets: with --speed_perturb_factors copy it first (utils/combine_data.sh $datadir/<name> $datadir/$train_set) and name the copy there"; fi
[[ $stage -ge 1 && $stop_stage -le 13 && $stage -le $stop_stage ]] || die "--stage $stage --stop_stage $stop_stage: stages are 1 to 13, in this order"
tool() { "$python" -m "xlsrt.bin.$1" "${@:2}"; }
given=(); for name in $option_names; do given+=("--$name=${!name}"); done
tool check_start "${given[@]}" --stages_config "${stages_yaml[@]}" --pretrained "$adapt_from" --train_config "${train_yaml[@]}" \
  --last_config "${last_config[@]}" --adapt_config "$adapt_yaml" --adapt_exp "$adapt_exp" --data_dirs "$datadir" "$source_dir" \
  --prepares ${corpus_dir:+"${all_sets[@]}"} --config_folders "${folders[@]}" --gpus "$gpus_here" # before any work
step() { # run a command unless its marker says that it is done; title, kind, marker, inputs..., -- command...
  local place=(--cmd "$train_cmd --num-threads $nj" --log "$(dirname "$3")/log/$2.log") # what runs elsewhere, on a cluster
  if [ "$cmd_backend" = local ] || [[ ! $2 =~ ^(format|tokens|shapes)$ ]]; then place=(); fi
  tool run_step --title "run.sh $1" --kind "$2" --marker "$3" "${place[@]}" --inputs "${@:4}"
}

stage_1() { # data preparation
  local opts; read -ra opts <<< "$local_data_opts"
  if [ -n "$corpus_dir" ]; then
    tool prepare_corpus --script "$corpus_dir/local/data.sh" --output_dir "$source_dir" --sets "${all_sets[@]}" \
      --written "$dumpdir" "$expdir" --train_config "${train_yaml[@]}" --nj "$nj" -- "${opts[@]}"
  fi
  require "$source_dir/%/wav.scp" "run stage 1 first, or make this Kaldi directory (see README)"
}

require() { # a file of every set; % stands for the set
  local set; for set in "${all_sets[@]}"; do [ -f "${1/\%/$set}" ] || die "${1/\%/$set} is missing: $2"; done
}

stage_2() { # audio formatting and validation
  require "$source_dir/%/wav.scp" "run stage 1 first, or make this Kaldi directory (see README)"
  local set out speeds tables
  for set in "${all_sets[@]}"; do
    if [ "$source_dir" != "$datadir" ]; then # --debug true
      step "stage 2: a part of $set" data "$datadir/$set/.taken" "$source_dir/$set"/{wav.scp,text,segment[s],utt2*} -- \
        "$root/utils/subset_data_dir.sh" "$source_dir/$set" 60 "$datadir/$set"
    fi
    out=$dumpdir/raw/$set speeds=1.0; if [ "$set" = "$train_set" ]; then out=$whole_dump speeds=${speed_perturb_factors:-1.0}; fi
    tables=("$datadir/$set"/{wav.sc[p],tex[t],segment[s],utt2*})
    step "stage 2: audio of $set" format "$out/.formatted" "${tables[@]}" --audio "$datadir/$set/wav.scp" \
      --outputs "$out"/{wav.scp,text,utt2num_samples} --keeps_audio -- \
      "$python" -m xlsrt.bin.format_data --data_dir "$datadir/$set" --output_dir "$out" --speed_perturb "$speeds" \
      --allow_pipes "$allow_pipes" --drop_bad "$drop_bad" --audio_format "$audio_format" --nj "$nj"
  done
  if [ -n "$hours" ]; then
    step "stage 2: $train_hours hours of $train_set" data "$train_dump/.taken" "$whole_dump"/{wav.scp,text,utt2num_samples} \
      --outputs "$train_dump"/{wav.scp,text,utt2num_samples} -- \
      "$root/utils/subset_data_dir.sh" --hours "$train_hours" "$whole_dump" "$train_dump"
  fi
}

stage_3() { # token training
  local texts; [ "$lm_train_text" != auto ] || lm_train_text=$(echo "$source_dir"/local/other_text/tex[t]); read -ra texts <<< "$lm_train_text"; texts=("$train_dump/text" "${texts[@]}")
  step "stage 3: $token_type tokens" tokens "$token_dir/.trained" "$train_dump/text" --outputs "$token_dir/tokens.txt" -- \
    "$python" -m xlsrt.bin.train_tokens --text "$train_dump/text" --output_dir "$token_dir" --token_type "$token_type" --nbpe "$nbpe"
  if [ "$use_ngram" = auto ] && [ "$(cat "${texts[@]}" | wc -c)" -gt 5000000 ]; then
    rm -f "$token_dir"/{ngram.arpa,bigram.arpa,.ngram}; echo "run.sh stage 3: no n-gram model of over 5 MB of text; --use_ngram true makes one" >&2; return
  elif [ "$use_ngram" = false ]; then return; fi
  step "stage 3: $ngram_num-grams of tokens" ngram "$token_dir/.ngram" "${texts[@]}" "$token_dir/tokens.txt" --outputs "$token_dir"/{ngram,bigram}.arpa -- \
    "$python" -m xlsrt.bin.train_ngram --text "${texts[@]}" --token_list "$token_dir/tokens.txt" --token_type "$token_type" \
    "${bpemodel[@]}" --order "$ngram_num" --valid_text "$valid_dump/text" --output "$token_dir/ngram.arpa" --bigram "$token_dir/bigram.arpa"
}

stage_4() { # shape statistics
  local part dump
  for part in train valid; do dump=${part}_dump
    step "stage 4: shapes of $part" shapes "$stats_dir/$part/.written" "${!dump}"/{text,utt2num_samples} "$token_dir/tokens.txt" \
      --outputs "$stats_dir/$part"/{speech_shape,"text_shape.$token_type"} -- "$python" -m xlsrt.bin.write_shapes --data_dir "${!dump}" \
      --output_dir "$stats_dir/$part" --token_type "$token_type" --token_list "$token_dir/tokens.txt" "${bpemodel[@]}" --min_seconds "$min_wav_duration" --max_seconds "$max_wav_duration"
  done
  if [ "$num_splits_asr" = 1 ]; then return; fi
  local out=$stats_dir/splits$num_splits_asr files=("$stats_dir/train"/{speech_shape,"text_shape.$token_type"} "$train_dump"/{wav.scp,text,utt2lan[g]})
  step "stage 4: $num_splits_asr parts of train" shapes "$out/.written" "${files[@]}" --outputs "$out/text/num_splits" -- \
    "$python" -m xlsrt.bin.split_data --num_splits "$num_splits_asr" --output_dir "$out" "${files[@]}"
}

adapt_encoder() { # self-supervised, before training stage 1
  tool adapt --sets "${adapt_sets:-$train_set}" --data_dirs "$datadir" "$source_dir" --dumpdir "$dumpdir" --adapt_exp "$adapt_exp" \
    --adapt_config "$adapt_yaml" --train_config "${train_yaml[@]}" --last_config "${last_config[@]}" --pretrained "$adapt_from" \
    --allow_pipes "$allow_pipes" --audio_format "$audio_format" --nj "$nj" --ngpu "$ngpu" --num_nodes "$num_nodes" \
    --cmd "$cuda_cmd" --seed "$seed"
}
train() { # the variants of one stage of run.sh
  local variant here; here=$(tool list_variants --stages_config "${stages_yaml[@]}" --variants "$variants" --run_stage "$1")
  for variant in $here; do # not in $(...) here: a stage whose list failed would be passed over
    tool train_stage --variant "$variant" --stages_config "${stages_yaml[@]}" --train_config "${train_yaml[@]}" \
      --last_config "${last_config[@]}" --asr_exp "$asr_exp" --pretrained "$pretrained" --train_dump "$train_dump" \
      --valid_dump "$valid_dump" --stats_dir "$stats_dir" --token_type "$token_type" --token_list "$token_dir/tokens.txt" \
      "${bpemodel[@]}" --ngpu "$ngpu" --num_nodes "$num_nodes" --num_splits "$num_splits_asr" --cmd "$cuda_cmd" --seed "$seed"
  done
}
stage_5() { if "$adapt"; then adapt_encoder; fi; train 5; } # training stage 1: full attention
stage_6() { train 6; }; stage_7() { train 7; }; stage_8() { train 8; }; stage_9() { train 9; } # training stages 2 to 5

evaluate() { # decode or score every model with every configuration that is meant for it
  local with_ngram=(--ngram_dir "$token_dir"); if [ "$use_ngram" = false ] || [[ $use_ngram = auto && ! -f $token_dir/ngram.arpa ]]; then with_ngram=(); fi
  tool evaluate "$1" --expdir "$expdir" --stages_config "${stages_yaml[@]}" --variants "$variants" --asr_exp "$asr_exp" \
    --model_file "$inference_asr_model" --decode_configs "$decode_configs" --config_folders "${folders[@]}" \
    --all_contexts "$decode_all" --dumpdir "$dumpdir/raw" --test_sets "$test_sets" --nj "$inference_nj" \
    --ngpu "$decode_gpus" --cmd "$decode_cmd" "${bpemodel[@]}" "${with_ngram[@]}"
}
stage_10() { evaluate decode; }; stage_11() { evaluate score || { failed=$?; ((failed == 3)) || exit "$failed"; }; }; stage_12() { # 3: all but some sets
  local scores=("$expdir"/*/*/*/{score_wer/score,latency}.jso[n])
  step "stage 12: report" report "$expdir/report/.written" "${scores[@]}" --outputs "$expdir/report/index.html" -- \
    "$python" -m xlsrt.bin.report --expdir "$expdir" --output "$expdir/report/index.html"
}
stage_13() { # packing: the last of the trained models, of the default path if there is one
  local variant exp; variant=$(tool list_variants --stages_config "${stages_yaml[@]}" --variants "$variants" --to_pack)
  exp=${asr_exp}_stage$variant
  step "stage 13: packing training stage $variant" pack "$exp/.packed" "$exp/.done" "$exp"/*/*/{decoding,score_*/score,latency}.jso[n] --outputs "$exp/packed/model.json" -- \
    "$python" -m xlsrt.bin.pack --exp_dir "$exp" --output_dir "$exp/packed" --model_file "$inference_asr_model"
}

for ((number = stage; number <= stop_stage; number++)); do
  if "$skip_data" && ((number <= 4)); then continue; fi
  if "$skip_train" && ((number >= 5 && number <= 9)); then continue; fi
  if "$skip_eval" && ((number >= 10)); then continue; fi
  "stage_$number"
done; exit "$failed" # on one line, so that bash has read it all when run.sh is edited meanwhile
